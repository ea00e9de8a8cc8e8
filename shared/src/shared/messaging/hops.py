"""The hops of an event in its trace: it is sent, and each queue's consumer processes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from shared.events import Event
from shared.messaging.port import EXCHANGE, Delivery, Message
from shared.tracing import Kind, Span, TraceContext, parse_traceparent
from shared.tracing.spans import is_collecting

HEADER = "traceparent"
"""Names the span that sent the message; the event's own attribute names the one that decided on it."""

_ATTRIBUTE = re.compile(rb'"traceparent":"([^"]*)"')


@contextmanager
def sending(message: Message) -> Iterator[Message]:
    """Trace the sending of one of our events, where spans are collected, and yield it with that said."""
    if not is_collecting():
        yield message
        return
    with Span(f"send {message.routing_key}", Kind.PRODUCER, parent=_decided_in(message)) as span:
        if span.is_collected:
            span.attributes.update(_attributes(EXCHANGE, "send", message))
        yield replace(message, headers={**message.headers, HEADER: span.context.traceparent})


def processing(queue: str, delivery: Delivery, event: Event[Any]) -> Span:
    """Return the span of one attempt at an event; all attempts are children of what sent it."""
    message = delivery.message
    parent = parse_traceparent(message.headers.get(HEADER)) or parse_traceparent(event.traceparent)
    span = Span(f"process {queue}", Kind.CONSUMER, parent=parent)
    if span.is_collected:
        span.attributes.update(_attributes(queue, "process", message))
        span.attributes["flightline.attempt"] = delivery.attempt
        span.attributes["messaging.message.conversation_id"] = event.correlation
    return span


def heard_in(span: Span, event: Event[Any]) -> Event[Any]:
    """Return ``event`` as handled in ``span``: what is kept of it, and told because of it, belongs there."""
    return event.model_copy(update={"traceparent": span.context.traceparent})


def _attributes(destination: str, operation: str, message: Message) -> dict[str, str | int | float | bool]:
    return {
        "messaging.destination.name": destination,
        "messaging.operation.name": operation,
        "messaging.rabbitmq.destination.routing_key": message.routing_key,
        "messaging.message.id": message.event_id,
    }


def _decided_in(message: Message) -> TraceContext | None:
    """Return the span that an event of ours was made in: attributes come before the data."""
    found = _ATTRIBUTE.search(message.body.partition(b'"data":')[0])
    return parse_traceparent(found[1]) if found else None
