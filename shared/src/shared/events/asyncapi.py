"""The AsyncAPI 3 document: what Flightline hears and tells over AMQP, for those who write against it."""

from __future__ import annotations

from typing import Any

from shared.events.envelope import EventData
from shared.events.schemas import Schema, event_schema
from shared.events.types import EVENT_TYPES, FlightFound, ImagesStaged
from shared.messaging.port import EXCHANGE

HEARD_FROM_OUTSIDE: tuple[type[EventData], ...] = (FlightFound, ImagesStaged)
"""Events that an outside system may publish; the pipeline goes on from there."""

BINDING_VERSION = "0.3.0"
_REF = "#/components/schemas/{model}"


def asyncapi_document() -> Schema:
    """Return the document, without servers' addresses that only an operator knows."""
    messages, schemas = _components()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Flightline",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in structured JSON mode on one durable topic exchange; the"
            " routing key is the event's type. Delivery is at least once and in no particular order:"
            " `(source, id)` tells repeats. Readers ignore fields that they do not know.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": {
            "rabbitmq": {
                "host": "localhost:5672",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "The broker that `FLIGHTLINE_BUS` names.",
            }
        },
        "channels": {event.type: _channel(event) for event in EVENT_TYPES},
        "operations": _operations(),
        "components": {"messages": messages, "schemas": schemas},
    }


def _channel(event: type[EventData]) -> Schema:
    exchange = {"name": EXCHANGE, "type": "topic", "durable": True, "autoDelete": False, "vhost": "/"}
    return {
        "address": event.type,
        "summary": event.__doc__,
        "messages": {event.type: {"$ref": f"#/components/messages/{event.type}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": BINDING_VERSION}},
    }


def _operations() -> Schema:
    told = {f"tell-{event.type}": _operation("send", event) for event in EVENT_TYPES}
    heard = {f"hear-{event.type}": _operation("receive", event) for event in HEARD_FROM_OUTSIDE}
    return told | heard


def _operation(action: str, event: type[EventData]) -> Schema:
    amqp: dict[str, Any] = {"deliveryMode": 2, "mandatory": True} if action == "send" else {"ack": True}
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{event.type}"},
        "summary": "Flightline publishes it." if action == "send" else "An outside system may publish it.",
        "bindings": {"amqp": {**amqp, "bindingVersion": BINDING_VERSION}},
    }


def _components() -> tuple[Schema, Schema]:
    messages: Schema = {}
    schemas: Schema = {}
    for event in EVENT_TYPES:
        schema = event_schema(event, ref_template=_REF)
        schemas.update(schema.pop("$defs", {}))
        dialect, examples = schema.pop("$schema"), schema.pop("examples")
        messages[event.type] = {
            "name": event.type,
            "title": event.__name__,
            "summary": event.__doc__,
            "contentType": "application/cloudevents+json",
            "payload": {
                "schemaFormat": "application/schema+json;version=draft-07",
                "schema": {"$comment": f"Also valid as {dialect}", **schema},
            },
            "examples": [{"name": event.type, "payload": each} for each in examples],
        }
    return messages, schemas
