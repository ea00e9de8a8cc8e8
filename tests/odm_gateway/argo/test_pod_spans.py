"""Pods of a workflow are told of in the trace of the work on its task."""

from __future__ import annotations

from typing import Any

from odm_gateway.adapters.argo.outcome import status_of
from odm_gateway.adapters.argo.pod_spans import tell_of_pods
from shared.tracing import Span
from shared.tracing.spans import Finished, collecting


def node(template: str, phase: str, **more: Any) -> dict[str, Any]:
    times = {"startedAt": "2026-11-22T10:00:00Z", "finishedAt": "2026-11-22T10:45:00Z"}
    return {"type": "Pod", "templateName": template, "phase": phase, **times, **more}


def test_each_pod_that_ran_is_a_span_with_its_exit_code_and_times() -> None:
    nodes = {
        "a": node("fetch", "Succeeded", outputs={"exitCode": "0"}),
        "b": node("odm", "Failed", message="OOMKilled (exit code 137)"),
        "c": node("odm", "Pending", finishedAt=None),
        "d": node("publish", "Error", startedAt="yesterday"),
    }
    told: list[Finished] = []
    with collecting(told.append, 1.0), Span("work odm_tasks") as work:
        tell_of_pods(status_of({"status": {"phase": "Failed", "nodes": nodes}}))

    fetch, odm, _ = told
    assert (fetch.name, fetch.error, fetch.attributes["process.exit.code"]) == ("pod fetch", None, 0)
    assert (odm.name, odm.error) == ("pod odm", "OOMKilled (exit code 137)")
    assert odm.attributes == {"argo.template": "odm", "argo.phase": "Failed", "process.exit.code": 137}
    assert {one.parent for one in (fetch, odm)} == {work.context}
    assert odm.ended_ns - odm.started_ns == 45 * 60 * 10**9
