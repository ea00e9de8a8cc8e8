"""What the bus tells Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS_HANDLED = Counter(
    "flightline_events_handled_total", "Deliveries by what became of them.", ["service", "type", "outcome"]
)
HANDLER_SECONDS = Histogram(
    "flightline_handler_seconds",
    "Time that a handler took.",
    ["service", "type"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300, 1800),
)
EVENT_AGE_SECONDS = Histogram(
    "flightline_event_age_seconds",
    "Time from an event's telling to its handling.",
    ["service", "type"],
    buckets=(0.01, 0.1, 1, 10, 60, 600, 3600, 86400),
)
EVENTS_PUBLISHED = Counter(
    "flightline_events_published_total", "Events relayed out of outboxes.", ["type", "outcome"]
)
OUTBOX_DOCUMENTS = Gauge(
    "flightline_outbox_documents", "Documents whose outbox was seen not empty, at most 100.", ["collection"]
)
OUTBOX_OLDEST_SECONDS = Gauge(
    "flightline_outbox_oldest_age_seconds",
    "Age of the event that was seen to wait longest in an outbox.",
    ["collection"],
)
QUEUE_MESSAGES = Gauge(
    "flightline_queue_messages",
    "Messages that wait in a queue, those in hand not counted; looked at once a minute.",
    ["service", "queue"],
)
DEAD_LETTERS = Gauge(
    "flightline_dead_letters", "Dead letters of a queue; looked at once a minute.", ["service", "queue"]
)
UNROUTED_MESSAGES = Gauge(
    "flightline_unrouted_messages", "Messages whose type nobody listens to; looked at once a minute."
)
