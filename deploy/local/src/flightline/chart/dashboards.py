"""The Grafana dashboards of the chart: what each panel shows, and by which query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

WIDTH, HEIGHT = 12, 8


class Panel(NamedTuple):
    """A graph: ``%s`` of its query is where a series is chosen."""

    title: str
    query: str
    legend: str
    unit: str = "short"


def _rate(metric: str, *by: str, over: str = "5m", of: str = "") -> str:
    chosen = f'service="{of}",%s' if of else "%s"
    return f"sum by ({', '.join(by)}) (rate({metric}{{{chosen}}}[{over}]))"


def _per_hour(metric: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) (increase({metric}{{%s}}[1h]))"


def _quantile(share: float, metric: str, *by: str, of: str = "") -> str:
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', *by, 'le', over='10m', of=of)})"


DASHBOARDS: Mapping[str, Sequence[Panel]] = {
    "services": (
        Panel("Pods that are ready", "sum by (service) (flightline_ready{%s})", "{{service}}"),
        Panel(
            "Versions that run",
            "sum by (service, version) (flightline_build_info{%s})",
            "{{service}} {{version}}",
        ),
        Panel(
            "Requests per second",
            _rate("flightline_http_request_seconds_count", "service", "status"),
            "{{service}} {{status}}",
            "reqps",
        ),
        Panel(
            "Time of requests, 99 of 100",
            _quantile(0.99, "flightline_http_request_seconds", "service"),
            "{{service}}",
            "s",
        ),
        Panel(
            "Requests to other systems, per second",
            _rate("flightline_outgoing_request_seconds_count", "system", "outcome"),
            "{{system}} {{outcome}}",
            "reqps",
        ),
        Panel(
            "Time of other systems, 95 of 100",
            _quantile(0.95, "flightline_outgoing_request_seconds", "system"),
            "{{system}}",
            "s",
        ),
        Panel("Memory of pods", "max by (pod) (process_resident_memory_bytes{%s})", "{{pod}}", "bytes"),
        Panel("Processors in use", "sum by (pod) (rate(process_cpu_seconds_total{%s}[5m]))", "{{pod}}"),
        Panel(
            "Deaths of loops, per hour",
            _per_hour("flightline_loop_deaths_total", "service", "loop"),
            "{{service}} {{loop}}",
        ),
        Panel(
            "Work that went to others, per hour",
            _per_hour("flightline_lease_takeovers_total", "collection", "reason"),
            "{{collection}} {{reason}}",
        ),
        Panel(
            "Work stopped, per hour",
            _per_hour("flightline_leases_lost_total", "collection"),
            "{{collection}}",
        ),
    ),
    "events": (
        Panel("Messages that wait", "max by (queue) (flightline_queue_messages{%s})", "{{queue}}"),
        Panel("Dead letters", "max by (queue) (flightline_dead_letters{%s})", "{{queue}}"),
        Panel(
            "Deliveries by outcome, per second",
            _rate("flightline_events_handled_total", "service", "outcome"),
            "{{service}} {{outcome}}",
        ),
        Panel(
            "Age of events when they are handled, 95 of 100",
            _quantile(0.95, "flightline_event_age_seconds", "service", "type"),
            "{{service}} {{type}}",
            "s",
        ),
        Panel(
            "Time of handlers, 95 of 100",
            _quantile(0.95, "flightline_handler_seconds", "service", "type"),
            "{{service}} {{type}}",
            "s",
        ),
        Panel(
            "Events published, per second",
            _rate("flightline_events_published_total", "type", "outcome"),
            "{{type}} {{outcome}}",
        ),
        Panel("Nobody listens to", "max(flightline_unrouted_messages{%s})", "messages"),
        Panel("Outboxes", "sum by (collection) (flightline_outbox_documents{%s})", "{{collection}}"),
        Panel(
            "Oldest event of an outbox",
            "max by (collection) (flightline_outbox_oldest_age_seconds{%s})",
            "{{collection}}",
            "s",
        ),
    ),
    "imagery": (
        Panel(
            "Flights found, per hour", "sum(increase(flightline_discovery_flights_total{%s}[1h]))", "flights"
        ),
        Panel(
            "Attempts at transfers, per hour",
            _per_hour("flightline_ingest_transfers_total", "outcome"),
            "{{outcome}}",
        ),
        Panel("Files staged, per second", _rate("flightline_ingest_files_total", "outcome"), "{{outcome}}"),
        Panel("Bytes staged, per second", _rate("flightline_ingest_bytes_total", "way"), "{{way}}", "Bps"),
        Panel(
            "Images that wait to be scaled",
            "sum by (mode) (flightline_scaler_waiting_images{%s})",
            "{{mode}}",
        ),
        Panel(
            "Images scaled, per second",
            _rate("flightline_scaler_images_total", "mode", "outcome"),
            "{{mode}} {{outcome}}",
        ),
        Panel(
            "Time of an image, 95 of 100",
            _quantile(0.95, "flightline_scaler_image_seconds", "mode"),
            "{{mode}}",
            "s",
        ),
        Panel(
            "Bytes of images scaled, per second",
            _rate("flightline_scaler_bytes_total", "direction"),
            "{{direction}}",
            "Bps",
        ),
        Panel("Files sorted, per hour", _per_hour("flightline_mover_files_total", "state"), "{{state}}"),
        Panel(
            "Moves that failed, per hour", "sum(increase(flightline_mover_failures_total{%s}[1h]))", "files"
        ),
        Panel("Files that stayed", "max(flightline_mover_left_files{%s})", "files"),
    ),
    "orthophotos": (
        Panel("Tasks that have not ended", "max by (status) (flightline_odm_tasks{%s})", "{{status}}"),
        Panel(
            "Tasks that ended, per hour",
            _per_hour("flightline_odm_tasks_ended_total", "status"),
            "{{status}}",
        ),
        Panel(
            "Time of a task, 95 of 100",
            _quantile(0.95, "flightline_odm_task_seconds", "status"),
            "{{status}}",
            "s",
        ),
        Panel(
            "Tasks that wait, of tenants with a share",
            "max by (share) (flightline_odm_waiting_tasks{%s})",
            "{{share}}",
        ),
        Panel(
            "Workflows that have not ended",
            "max by (cluster) (flightline_odm_open_workflows{%s})",
            "{{cluster}}",
        ),
        Panel(
            "Workflows that may be open",
            "max by (cluster) (flightline_odm_window_workflows{%s})",
            "{{cluster}}",
        ),
        Panel(
            "Time since a cluster was heard of",
            "max by (cluster) (flightline_odm_watch_lag_seconds{%s})",
            "{{cluster}}",
            "s",
        ),
        Panel(
            "Watches that began, per hour",
            _per_hour("flightline_odm_watch_restarts_total", "cluster", "reason"),
            "{{cluster}} {{reason}}",
        ),
    ),
    "datalab": (
        Panel("Computations that wait", "max(flightline_datalab_waiting_computations{%s})", "computations"),
        Panel(
            "Computations that ended, per second",
            _rate("flightline_datalab_computations_total", "outcome"),
            "{{outcome}}",
        ),
        Panel(
            "…by operation, per hour",
            _per_hour("flightline_datalab_computations_total", "operation"),
            "{{operation}}",
        ),
        Panel(
            "Time of a computation, 95 of 100",
            _quantile(0.95, "flightline_datalab_computation_seconds", "operation"),
            "{{operation}}",
            "s",
        ),
        Panel(
            "Requests by route, per second",
            _rate("flightline_http_request_seconds_count", "route", of="datalab"),
            "{{route}}",
            "reqps",
        ),
        Panel(
            "Time of requests by route, 95 of 100",
            _quantile(0.95, "flightline_http_request_seconds", "route", of="datalab"),
            "{{route}}",
            "s",
        ),
    ),
}


def dashboard(name: str) -> dict[str, Any]:
    """Return a dashboard as Grafana reads it."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "uid": f"flightline-{name}",
        "title": f"Flightline: {name}",
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "tags": ["flightline"],
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                {
                    "name": "namespace",
                    "type": "query",
                    "datasource": source,
                    "query": "label_values(flightline_ready, namespace)",
                    "refresh": 2,
                },
            ]
        },
        "panels": [_panel(number, panel, source) for number, panel in enumerate(DASHBOARDS[name])],
    }


def _panel(number: int, panel: Panel, source: Mapping[str, str]) -> dict[str, Any]:
    row, column = divmod(number, 2)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": column * WIDTH, "y": row * HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {
                "refId": "A",
                "expr": panel.query.replace("%s", 'namespace="$namespace"'),
                "legendFormat": panel.legend,
            }
        ],
    }
