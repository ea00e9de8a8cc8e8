"""``docs/metrics.md``: every metric of every service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from prometheus_client.metrics import MetricWrapperBase

from flightline.docs.schema_text import cell

MODULES: Mapping[str, tuple[str, ...]] = {
    "All services": ("shared.service.running", "shared.service.readiness", "shared.service.loops"),
    "HTTP": ("shared.service.requests", "shared.outgoing"),
    "Events": ("shared.messaging.metrics",),
    "Documents": ("shared.state.metrics",),
    "discovery": ("discovery.metrics",),
    "ingest": ("ingest.metrics",),
    "scaler": ("scaler.metrics",),
    "mover": ("mover.tally", "mover.sorting"),
    "datalab": ("datalab.metrics",),
    "odm-gateway": ("odm_gateway.metrics", "odm_gateway.adapters.argo.reflector"),
}
"""Where metrics are defined."""

LABELS: Mapping[str, str] = {
    "cluster": "A context of the operator's kubeconfig.",
    "collection": "A collection of the document store, named after the service that owns it.",
    "direction": "`read` or `written`.",
    "loop": "What a service does by itself, as the code names it.",
    "method": "An HTTP method, or `other`; for S3, the operation, such as `PutObject`.",
    "mode": "`flight` or `image` for jobs, `webdav` for a folder that is watched.",
    "operation": "A kind of operation of datalab, such as `Median`.",
    "outcome": "What became of it, in a word; of requests that go out, `2xx` to `5xx` or `unanswered`.",
    "python": "Version of Python.",
    "queue": "A work queue, named `<service>.<event type>`.",
    "reason": "Why: a handful of words.",
    "route": "The template of a route, such as `/api/flights/{flight_id}`, or `unmatched`.",
    "service": "Which service it is about: a process may run several.",
    "share": "A tenant that `ODM_GATEWAY_SHARES` names.",
    "state": "How the mover left a file.",
    "status": "An HTTP status; 499: the client went away. For tasks, theirs.",
    "system": "`discovery`, `s3`, `tapis`, `web`, `webdav` or `webodm`.",
    "type": "The type of an event, see [events.md](events.md).",
    "version": "Version of Flightline.",
    "way": "`read` from the source, or `reused` from the store.",
}
"""Where the values of labels come from: never from requests, files or users."""

_UNITS = ("seconds", "bytes")

_HEAD = """\
<!-- Written by make docs from the metrics in the code; do not edit. -->
# Metrics

Every service answers `GET /metrics` in Prometheus' format, without a token. Names begin with `flightline_`,
and with the name of the service behind that where only one has it. A counter ends in `_total`, a measure in
its unit, `_seconds` or `_bytes`. A histogram has the series `_bucket`, `_sum` and `_count`. Beside these
there are `process_*` and `python_*` of the Prometheus client: memory, CPU, open files, garbage collection.

Alerts and dashboards of the [Helm chart](deploying.md) stand on these names; [tracing.md](tracing.md) tells
how one request is followed through all services.

How many messages and dead letters there are, every pod of a service tells of the same queues: take their
maximum, not their sum.
"""


class Described(NamedTuple):
    """A metric as its page and its tests see it."""

    name: str
    """As it is exposed, without the suffixes of a histogram."""
    kind: str
    labels: tuple[str, ...]
    help: str


def metrics_page() -> str:
    """Return the page."""
    sections = [_section(title, names) for title, names in MODULES.items()]
    labels = [f"| `{name}` | {cell(meaning)} |" for name, meaning in sorted(LABELS.items())]
    table = [
        "## Labels",
        "",
        "Their values are few and known beforehand:",
        "",
        "| label | values |",
        "|---|---|",
    ]
    return "\n".join([_HEAD, *sections, *table, *labels, ""])


def described() -> list[Described]:
    """Return every metric that there is."""
    return [each for names in MODULES.values() for name in names for each in _of(import_module(name))]


def _section(title: str, names: tuple[str, ...]) -> str:
    rows = [_row(each) for name in names for each in _of(import_module(name))]
    head = [f"## {title}", "", "| metric | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _of(module: ModuleType) -> Iterator[Described]:
    for value in vars(module).values():
        if isinstance(value, MetricWrapperBase):
            [metric] = value.describe()
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            yield Described(name, metric.type, tuple(value._labelnames), metric.documentation)  # noqa: SLF001 - told nowhere else


def _row(each: Described) -> str:
    unit = next((unit for unit in _UNITS if f"_{unit}" in each.name), "")
    labels = ", ".join(f"`{label}`" for label in each.labels)
    return f"| `{each.name}` | {each.kind} | {unit} | {labels} | {cell(each.help)} |"
