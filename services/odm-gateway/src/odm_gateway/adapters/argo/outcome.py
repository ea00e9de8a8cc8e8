"""What a workflow's status says: how far it is, and why it ended or cannot begin."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from odm_gateway.adapters.argo.kubernetes import Manifest
from odm_gateway.domain.exit_codes import OUT_OF_MEMORY, exit_text
from odm_gateway.domain.job_manifest import JobFailure

PENDING = ("", "Pending")
RUNNING = "Running"
SUCCEEDED = "Succeeded"
ENDED = (SUCCEEDED, "Failed", "Error")
ODM_STEP = "odm"
TOO_LONG = "Processing took longer than its deadline."
_STEPS: Mapping[str, str] = {
    "fetch": "The images could not be brought to the job",
    "publish": "The products could not be stored",
}
NODES_AT_MOST_BYTES = 64 << 20
"""A status is about 1 MiB at most before Argo packs it; more than this is no status."""

_CANNOT_START = re.compile(
    r"ImagePullBackOff|ErrImagePull|InvalidImageName|ImageInspectError|CreateContainerConfigError"
    r"|CreateContainerError|FailedMount|secret .* not found|configmap .* not found",
    re.IGNORECASE,
)
_NO_VOLUME = re.compile(
    r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim .* not found|binding volumes"
    r"|FailedBinding|ProvisioningFailed",
    re.IGNORECASE,
)
_NO_ROOM = re.compile(r"Unschedulable|nodes are available|Insufficient ", re.IGNORECASE)
_OOM = re.compile(r"OOMKilled|out of memory", re.IGNORECASE)
_NODE_LOST = re.compile(
    r"pod deleted|node shutdown|Evicted|low on resource|imminent node|preempt|NodeLost|node .* not found",
    re.IGNORECASE,
)
_NO_SCRATCH = re.compile(
    r"Usage of EmptyDir volume|ephemeral local storage usage exceeds|exceeded its local ephemeral storage",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"DeadlineExceeded|Max duration limit|longer than the specified deadline", re.IGNORECASE
)
_STOPPED = re.compile(r"with strategy '(Stop|Terminate)'|workflow shutdown", re.IGNORECASE)
_NO_TEMPLATE = re.compile(r"workflowtemplates?\S* \"([^\"]+)\" not found", re.IGNORECASE)
_OWN_WORDS = re.compile(r"(?:\w+: )?Error \(exit code \d+\): (.+)", re.DOTALL)
_EXIT_CODE = re.compile(r"exit code (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a workflow that has a pod."""

    template: str
    phase: str
    message: str
    exit_code: int | None
    ended_at: str
    started_at: str = ""

    @property
    def is_running(self) -> bool:
        """Return whether its pod runs or waits to."""
        return self.phase in {"Pending", "Running"}


@dataclass(frozen=True, slots=True)
class Status:
    """A workflow as its controller describes it."""

    phase: str
    message: str
    nodes: tuple[Node, ...]

    @property
    def has_ended(self) -> bool:
        """Return whether nothing happens any more."""
        return self.phase in ENDED

    @property
    def step(self) -> str:
        """Return the template of the pod at work, if there is one."""
        return next((node.template for node in self.nodes if node.is_running), "")

    @property
    def cannot_start(self) -> str | None:
        """Return why a pod cannot start as long as nobody mends something, if that is so."""
        for pattern, words in (
            (_CANNOT_START, "A container of the job cannot start"),
            (_NO_VOLUME, "The job's volume cannot be provided"),
        ):
            if said := _waiting(self.nodes, pattern):
                return f"{words}: {said}"
        return None

    @property
    def has_no_room(self) -> str | None:
        """Return why a pod fits nowhere, if that is so."""
        said = _waiting(self.nodes, _NO_ROOM)
        return said and f"The cluster has no room for the job: {said}"


def status_of(workflow: Manifest) -> Status:
    """Read a workflow's status."""
    status: Mapping[str, Any] = workflow.get("status") or {}
    nodes = status.get("nodes") or _unpacked(status.get("compressedNodes") or "")
    pods = (node for node in nodes.values() if node.get("type") == "Pod")
    return Status(str(status.get("phase") or ""), str(status.get("message") or ""), tuple(map(_node, pods)))


def why_failed(status: Status, failure: JobFailure | None) -> str:
    """Return why a workflow failed, in NodeODM's words where it was ODM itself.

    Args:
        status: Of the workflow, at its end.
        failure: What the odm step's last run left behind, if it did.
    """
    for pattern, words in (
        (_STOPPED, "The workflow was stopped in the cluster, not by this gateway."),
        (_TOO_LONG, TOO_LONG),
    ):
        if pattern.search(status.message):
            return words
    node = _last_failed(status.nodes)
    if node is None:
        return _without_pod(status, failure)
    if node.template != ODM_STEP:
        step = _STEPS.get(node.template, f"The step {node.template} failed")
        return f"{step}: {_reason(node.message) or status.message or 'no reason given'}"
    return _of_odm(node, failure)


def details(status: Status, failure: JobFailure | None) -> list[str]:
    """Return, for the console, what the cluster said of every pod that ended badly."""
    told = [
        f"{node.template}: {node.phase}: {node.message or 'no reason given'}"
        for node in sorted(status.nodes, key=lambda node: node.ended_at)
        if node.phase in {"Failed", "Error"}
    ]
    if status.message:
        told.append(f"workflow: {status.phase}: {status.message}")
    if failure and failure.peak_memory_bytes:
        told.append(f"Peak memory: {failure.peak_memory_bytes / (1 << 30):.1f} GiB")
    return told


def _of_odm(node: Node, failure: JobFailure | None) -> str:
    for pattern, words in (
        (_TOO_LONG, TOO_LONG),
        (_NO_SCRATCH, f"The job ran out of scratch space: {node.message}"),
        (_NODE_LOST, f"The cluster took the job's node away: {node.message}"),
        (_OOM, exit_text(OUT_OF_MEMORY)),
        (_CANNOT_START, f"A container of the job cannot start: {node.message}"),
    ):
        if pattern.search(node.message):
            return words
    if failure and failure.message:
        return failure.message
    code = node.exit_code or (failure.exit_code if failure else 0)
    return exit_text(code) if code else f"The cluster gave the job up: {node.message or 'no reason given'}"


def _reason(message: str) -> str:
    """Return what a step of ours said at its end, where Argo passes that on, else what Argo says."""
    said = _OWN_WORDS.fullmatch(message)
    return said.group(1) if said else message


def _without_pod(status: Status, failure: JobFailure | None) -> str:
    if missing := _NO_TEMPLATE.search(status.message):
        return f"The WorkflowTemplate {missing.group(1)} is not installed in the cluster."
    if failure:
        return failure.message or exit_text(failure.exit_code)
    return f"The workflow could not be run: {status.message or 'no reason given'}"


def _last_failed(nodes: Iterable[Node]) -> Node | None:
    failed = [node for node in nodes if node.phase in {"Failed", "Error"}]
    return max(failed, key=lambda node: node.ended_at, default=None)


def _waiting(nodes: Iterable[Node], pattern: re.Pattern[str]) -> str | None:
    return next(
        (node.message for node in nodes if node.phase == "Pending" and pattern.search(node.message)), None
    )


def _node(node: Mapping[str, Any]) -> Node:
    message = str(node.get("message") or "")
    told = str((node.get("outputs") or {}).get("exitCode", ""))
    code = told or "".join(_EXIT_CODE.findall(message)[-1:])
    return Node(
        template=str(node.get("templateName") or ""),
        phase=str(node.get("phase") or ""),
        message=message,
        exit_code=int(code) if code.isdecimal() else None,
        ended_at=str(node.get("finishedAt") or ""),
        started_at=str(node.get("startedAt") or ""),
    )


def _unpacked(packed: str) -> Mapping[str, Mapping[str, Any]]:
    """Return nodes that Argo packed because they are many; none if they cannot be read."""
    try:
        content = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(
            base64.b64decode(packed), NODES_AT_MOST_BYTES
        )
        nodes = json.loads(content) if content else {}
    except (binascii.Error, zlib.error, ValueError):
        return {}
    return nodes if isinstance(nodes, dict) else {}
