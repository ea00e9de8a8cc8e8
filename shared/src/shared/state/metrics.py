"""What the document store tells Prometheus."""

from __future__ import annotations

from prometheus_client import Counter

from shared.state.port import Record

LEASE_TAKEOVERS = Counter(
    "flightline_lease_takeovers_total",
    "Documents that went to another worker: a lease lapsed, or its holder, on this host, was gone.",
    ["collection", "reason"],
)
LEASES_LOST = Counter(
    "flightline_leases_lost_total", "Work that was stopped because its lease was lost.", ["collection"]
)


def note_taken(collection: str, before: Record) -> None:
    """Count a document that was claimed while somebody's lapsed lease was on it."""
    if before.lease is not None:
        LEASE_TAKEOVERS.labels(collection, "lapsed").inc()
