"""What is made of a workflow's status."""

import base64
import gzip
import json
from typing import Any

import pytest

from odm_gateway.adapters.argo.outcome import status_of, why_failed
from odm_gateway.domain.job_manifest import JobFailure


def node(template: str = "odm", phase: str = "Failed", message: str = "", **more: Any) -> dict[str, Any]:
    return {"type": "Pod", "templateName": template, "phase": phase, "message": message, **more}


def why(*nodes: dict[str, Any], message: str = "", failure: JobFailure | None = None) -> str:
    status = {"phase": "Failed", "message": message, "nodes": {str(i): n for i, n in enumerate(nodes)}}
    return why_failed(status_of({"status": status}), failure)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Error (exit code 1)", "Cannot process dataset"),
        ("main: Error (exit code 139)", "Cannot process dataset"),
        ("OOMKilled (exit code 137)", "Not enough memory"),
        (
            "Pod was active on the node longer than the specified deadline",
            "Processing took longer than its deadline.",
        ),
        ("pod deleted", "The cluster took the job's node away: pod deleted"),
        (
            "The node was low on resource: memory. Container main was using 9Gi",
            "The cluster took the job's node away: The node was low on",
        ),
        ('CreateContainerConfigError: secret "s3" not found', "A container of the job cannot start: Create"),
        ("", "The cluster gave the job up: no reason given"),
    ],
)
def test_the_odm_steps_last_words_decide(message: str, words: str) -> None:
    assert why(node(message=message)).startswith(words)


def test_the_exit_code_that_argo_kept_counts_more_than_its_message() -> None:
    assert why(node(message="Error", outputs={"exitCode": "132"})) == "Unsupported CPU"


def test_the_last_failure_counts() -> None:
    early = node(message="OOMKilled", finishedAt="2026-01-01T01:00:00Z")
    late = node(message="Error (exit code 1)", finishedAt="2026-01-01T02:00:00Z")
    assert why(late, early) == "Cannot process dataset"


def test_a_workflow_stopped_by_others_says_so() -> None:
    assert why(message="Stopped with strategy 'Stop'") == (
        "The workflow was stopped in the cluster, not by this gateway."
    )


def test_a_workflow_that_never_had_a_pod_says_what_the_cluster_said() -> None:
    assert why(message="invalid spec: x") == "The workflow could not be run: invalid spec: x"


def test_what_the_step_left_behind_helps_where_the_nodes_are_stored_elsewhere() -> None:
    failure = JobFailure(exit_code=132, message="Unsupported CPU")
    assert why(message="child failed", failure=failure) == "Unsupported CPU"


@pytest.mark.parametrize("packed", ["", "no base64!", base64.b64encode(b"no gzip").decode(), None])
def test_packed_nodes_that_cannot_be_read_are_none(packed: str | None) -> None:
    assert status_of({"status": {"phase": "Running", "compressedNodes": packed}}).nodes == ()


def test_packed_nodes_are_read() -> None:
    packed = base64.b64encode(gzip.compress(json.dumps({"a": node("publish", "Running")}).encode()))
    status = status_of({"status": {"phase": "Running", "compressedNodes": packed.decode()}})
    assert (status.step, status.nodes[0].is_running) == ("publish", True)


def test_a_workflow_that_no_controller_has_looked_at_is_pending() -> None:
    status = status_of({"metadata": {"name": "x"}})
    assert (status.phase, status.nodes, status.has_ended) == ("", (), False)
