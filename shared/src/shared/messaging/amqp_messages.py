"""Our messages as AMQP properties and headers, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiormq import spec
from aiormq.abc import DeliveredMessage

from shared.messaging.port import UNROUTED_QUEUE, DeadLetter, Death, Message, unrouted
from shared.messaging.topology import DELIVERY_LIMIT, MANDATORY_HEADER

EVENT_ID = "flightline-event-id"
ATTEMPT = "flightline-attempt"
ROUTING_KEY = "flightline-routing-key"
DEATH = "flightline-death-"

_OURS_OR_THE_BROKERS = (
    "flightline-",
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
    "x-delivery-limit",
)


def published(message: Message) -> spec.Basic.Properties:
    """Return properties for the event exchange; the message id is new each time.

    RabbitMQ's client library matches returned messages by message id, so two attempts must not share one.
    """
    return _properties(message, {EVENT_ID: message.event_id, MANDATORY_HEADER: "true"})


def forwarded(message: Message, more: Mapping[str, Any]) -> spec.Basic.Properties:
    """Return properties for one queue: ``message`` with what gets lost on the way there, and ``more``."""
    return _properties(message, {EVENT_ID: message.event_id, ROUTING_KEY: message.routing_key, **more})


def _properties(message: Message, ours: Mapping[str, Any]) -> spec.Basic.Properties:
    return spec.Basic.Properties(
        content_type=message.content_type,
        headers={**message.headers, **ours},
        delivery_mode=2,
        message_id=uuid4().hex,
    )


def message_of(delivered: DeliveredMessage) -> Message:
    """Return what was published, without the headers that we and the broker added."""
    properties = delivered.header.properties
    headers: dict[str, Any] = dict(properties.headers or {})
    return Message(
        delivered.body,
        str(headers.get(ROUTING_KEY) or _first_routing_key(headers) or delivered.routing_key or ""),
        str(headers.get(EVENT_ID) or properties.message_id or ""),
        {key: value for key, value in headers.items() if not key.startswith(_OURS_OR_THE_BROKERS)},
        properties.content_type or "",
    )


def attempt_of(delivered: DeliveredMessage) -> int:
    """Return which attempt this is; what an outside publisher wrote there instead of a number counts as 1."""
    attempt = (delivered.header.properties.headers or {}).get(ATTEMPT, 1)
    return attempt if isinstance(attempt, int) and attempt > 0 else 1


def death_headers(death: Death, died_at: datetime | None = None) -> dict[str, Any]:
    """Return ``death`` as headers; without ``died_at`` it happens now."""
    return {
        f"{DEATH}reason": death.reason,
        f"{DEATH}error": death.error[:2000],
        f"{DEATH}trace": death.trace[-8000:],
        f"{DEATH}attempts": death.attempts,
        f"{DEATH}at": died_at or datetime.now(UTC),
    }


def dead_letter_of(queue: str, delivered: DeliveredMessage) -> DeadLetter:
    """Return a message of a dead-letter queue as an operator sees it."""
    headers: Mapping[str, Any] = delivered.header.properties.headers or {}
    if f"{DEATH}reason" in headers:
        death = Death(*(headers.get(f"{DEATH}{key}", "") for key in ("reason", "error", "trace", "attempts")))
        died_at = headers.get(f"{DEATH}at")
    elif queue == UNROUTED_QUEUE:
        death, died_at = unrouted(message_of(delivered).routing_key), None
    else:
        error = f"RabbitMQ delivered it more than {DELIVERY_LIMIT} times and nobody settled it"
        death = Death("delivery_limit", error, attempts=attempt_of(delivered))
        died_at = _broker_deaths(headers)[0].get("time")
    when = died_at if isinstance(died_at, datetime) else None
    return DeadLetter(letter_id(delivered), queue, message_of(delivered), death, when)


def letter_id(delivered: DeliveredMessage) -> str:
    """Return what names a dead letter; one that outsiders published without an id is named by its bytes."""
    return delivered.header.properties.message_id or hashlib.sha256(delivered.body).hexdigest()[:32]


def _first_routing_key(headers: Mapping[str, Any]) -> str | None:
    """Return what a message that the broker moved was published with; it notes the first move last."""
    keys: list[str] = _broker_deaths(headers)[-1].get("routing-keys") or []
    return keys[0] if keys else None


def _broker_deaths(headers: Mapping[str, Any]) -> list[dict[str, Any]]:
    deaths = headers.get("x-death")
    if not isinstance(deaths, list):  # anybody may publish a header of that name
        return [{}]
    return [death for death in deaths if isinstance(death, dict)] or [{}]
