"""What requests to outside systems tell Prometheus."""

from __future__ import annotations

from prometheus_client import Histogram

SECONDS = Histogram(
    "flightline_outgoing_request_seconds",
    "Time until an outside system began to answer.",
    ["system", "method", "outcome"],
    buckets=(0.01, 0.05, 0.2, 1, 5, 20, 60),
)
