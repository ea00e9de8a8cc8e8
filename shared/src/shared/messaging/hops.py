"""The hops of an event in its trace: it is sent, and each queue's consumer processes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from shared.events import Event
from shared.messaging.port import EXCHANGE, Delivery, Message
from shared.tracing import Kind, Span, TraceContext, parse_traceparent
from shared.tracing.spans import is_collecting

HEADER = "traceparent"
"""Names the span that sent the message; the event's own attribute names the one that decided on it."""

_ATTRIBUTE = re.compile(rb'"traceparent":"([^"]*)"')


def sending(message: Message) -> AbstractContextManager[Message]:
    """Trace the sending of one of our events, where spans are collected, and yield it with that said."""
    return _traced(message) if is_collecting() else nullcontext(message)


@contextmanager
def _traced(message: Message) -> Iterator[Message]:
    with Span(f"send {message.routing_key}", Kind.PRODUCER, parent=_decided_in(message)) as span:
        if span.is_collected:
            span.attributes.update(_attributes(EXCHANGE, "send", message))
        yield replace(message, headers={**message.headers, HEADER: span.context.traceparent})


def processing(name: str, queue: str, delivery: Delivery, event: Event[Any]) -> Span:
    """Return the span of one attempt at an event; all attempts are children of what sent it."""
    message = delivery.message
    parent = parse_traceparent(message.headers.get(HEADER)) or parse_traceparent(event.traceparent)
    span = Span(name, Kind.CONSUMER, parent)
    if span.is_collected:
        span.attributes.update(_attributes(queue, "process", message))
        span.attributes["flightline.attempt"] = delivery.attempt
        span.attributes["messaging.message.conversation_id"] = event.correlation
    return span


def heard_in(span: Span, event: Event[Any]) -> Event[Any]:
    """Return ``event`` as handled in ``span``: what is kept of it, and told because of it, belongs there.

    Where nobody is told of the span, what led to it is the better parent.
    """
    if event.traceparent is not None and not span.is_collected:
        return event
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
