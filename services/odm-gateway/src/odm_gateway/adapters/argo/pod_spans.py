"""A job's pods in its trace: when each ran, and how its command exited."""

from __future__ import annotations

from datetime import datetime

from odm_gateway.adapters.argo.outcome import SUCCEEDED, Node, Status
from shared.tracing.spans import Value, record


def tell_of_pods(status: Status) -> None:
    """Tell of every pod of a workflow that is over, below the current span."""
    for node in status.nodes:
        started_ns, ended_ns = _ns(node.started_at), _ns(node.ended_at)
        if started_ns is not None and ended_ns is not None:
            error = None if node.phase == SUCCEEDED else node.message or node.phase
            record(f"pod {node.template}", started_ns, ended_ns, _attributes(node), error=error)


def _attributes(node: Node) -> dict[str, Value]:
    told: dict[str, Value] = {"argo.template": node.template, "argo.phase": node.phase}
    if node.exit_code is not None:
        told["process.exit.code"] = node.exit_code
    return told


def _ns(text: str) -> int | None:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1e9)
    except ValueError:
        return None
