"""Labels of metrics take their values from sets that are known beforehand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from prometheus_client.parser import text_string_to_metric_families

import datalab.collections
import datalab.execution.collections
import discovery.collections
import ingest.collections
import mover.collections
import odm_gateway.resources
import scaler.collections
from datalab.domain.asked import State
from datalab.operations.registry import registry
from flightline.chart.services import WORKLOADS
from flightline.pipeline import SUBSCRIPTIONS
from ingest.domain.transfers import Rejection
from mover.domain.moves import MoveState
from odm_gateway.domain.tasks import Status
from scaler.domain.jobs import JobKind
from shared.events import EVENT_TYPES
from shared.state import CollectionSpec
from shared.tracing.calls import METHODS

Check = Callable[[str], object]

_SERVICES = frozenset(WORKLOADS)
_ANSWERS = frozenset({"1xx", "2xx", "3xx", "4xx", "5xx", "unanswered"})
_DELIVERIES = frozenset(
    {
        "handled", "retried", "handed_back", "forward_failed", "unreadable", "permanent",
        "attempts_exhausted", "bug", "published", "unrouted", "refused",
    }
)  # fmt: skip
_WORK = frozenset(
    {"staged", "stopped", "needs_login", "failed", "interrupted", "scaled", "replaced", "gone", "postponed"}
)
_SYSTEMS = frozenset({"discovery", "s3", "tapis", "web", "webdav", "webodm"})
_STATUSES = frozenset(status.name.lower() for status in Status)
_COLLECTIONS = frozenset(
    value.name
    for module in (
        datalab.collections, datalab.execution.collections, discovery.collections, ingest.collections,
        mover.collections, scaler.collections,
    )
    for value in vars(module).values()
    if isinstance(value, CollectionSpec)
) | {spec.name for spec in odm_gateway.resources.COLLECTIONS}  # fmt: skip

_WORDS = re.compile(r"[a-z][a-z ]{0,30}")
_S3_OPERATION = re.compile(r"[A-Z][A-Za-z0-9]{3,40}")
_TEMPLATE = re.compile(r"(/([a-z][a-z0-9_.-]{0,30}|\{[a-z_]+(:path)?\}|))+")
_STATUS = re.compile(r"[1-5][0-9][0-9]")
_VERSION = re.compile(r"[0-9]+(\.[0-9a-z+]+)*")
_NUMBER = re.compile(r"\+Inf|[0-9.e+-]+")

BOUNDS: dict[str, Check] = {
    "cluster": {"simulated"}.__contains__,
    "collection": _COLLECTIONS.__contains__,
    "direction": {"read", "written"}.__contains__,
    "le": _NUMBER.fullmatch,
    "loop": _WORDS.fullmatch,
    "method": lambda text: text in METHODS | {"other", "OPTIONS", "PATCH"} or _S3_OPERATION.fullmatch(text),
    "mode": {*(kind.value for kind in JobKind), "webdav"}.__contains__,
    "operation": lambda text: text in registry(),
    "outcome": (
        _ANSWERS | _DELIVERIES | _WORK | {one.value for one in Rejection} | {one.lower() for one in State}
    ).__contains__,
    "python": _VERSION.fullmatch,
    "queue": {each.queue for each in SUBSCRIPTIONS}.__contains__,
    "reason": _WORDS.fullmatch,
    "route": lambda text: text == "unmatched" or _TEMPLATE.fullmatch(text),
    "service": _SERVICES.__contains__,
    "share": {""}.__contains__,
    "state": {one.value for one in MoveState}.__contains__,
    "status": lambda text: text in _STATUSES or _STATUS.fullmatch(text),
    "system": _SYSTEMS.__contains__,
    "type": ({each.type for each in EVENT_TYPES} | {"datalab-computation-asked"}).__contains__,
    "version": _VERSION.fullmatch,
    "way": {"read", "reused"}.__contains__,
}


def strange_labels(exposed: str, known: Iterable[str] = ()) -> set[tuple[str, str, str]]:
    """Return metric, label and value wherever a value of ours is from no known set; ``known`` are, too."""
    also = frozenset(known)
    return {
        (family.name, label, value)
        for family in text_string_to_metric_families(exposed)
        if family.name.startswith("flightline_")
        for sample in family.samples
        for label, value in sample.labels.items()
        if value not in also and not BOUNDS[label](value)
    }


def names_in(exposed: str) -> set[str]:
    """Return the names of our metrics that have at least one series."""
    families = text_string_to_metric_families(exposed)
    return {one.name for one in families if one.name.startswith("flightline_") and one.samples}
