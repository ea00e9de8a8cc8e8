"""What datalab tells Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

COMPUTATIONS = Counter(
    "flightline_datalab_computations_total", "Computations that ended, by how.", ["operation", "outcome"]
)
COMPUTATION_SECONDS = Histogram(
    "flightline_datalab_computation_seconds",
    "From the beginning of the work on a computation to its end.",
    ["operation"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
)
WAITING = Gauge(
    "flightline_datalab_waiting_computations",
    "Computations that wait for a worker; counted once a minute.",
)
