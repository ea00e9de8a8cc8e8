"""From bytes and headers to a typed event: CloudEvents in structured and in binary mode."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.errors import PermanentError
from shared.events import Event, EventData
from shared.messaging.port import Message

D = TypeVar("D", bound=EventData)

STRUCTURED_TYPE = "application/cloudevents+json"
BINARY_PREFIXES = ("ce-", "cloudEvents:", "cloudEvents_")
"""How the attributes' headers begin: the SDK's RabbitMQ binding, and the AMQP 1.0 binding's two spellings."""

_VERSIONED = re.compile(r"^(?P<name>.+?)[./]v(?P<major>\d+)(\.\d+)*(\.json)?$")
MAJOR = 1
"""The one major version of every event that this release reads."""


class UnreadableError(PermanentError):
    """The message is no event that we know; the error says which field is wrong."""


def encode(event: Event[Any]) -> Message:
    """Return ``event`` as a structured-mode message."""
    return Message(event.to_bytes(), event.type, event.id, content_type=STRUCTURED_TYPE)


def decode(message: Message, data_type: type[D]) -> Event[D]:
    """Return the event in ``message``.

    Raises:
        UnreadableError: It is none, is of another type, or of a major version that is not known here.
    """
    if not message.content_type.startswith(STRUCTURED_TYPE):
        return _from_document(_binary_document(message), data_type)
    # Almost every message takes this path: one pass of pydantic over the bytes.
    if b'"dataschema"' not in message.body:
        try:
            event = _model(data_type).model_validate_json(message.body)
        except ValidationError:
            return _from_document(_structured_document(message.body), data_type)
        if event.type == data_type.type:
            return event
    return _from_document(_structured_document(message.body), data_type)


@cache
def _model(data_type: type[D]) -> type[Event[D]]:
    return Event[data_type]  # type: ignore[valid-type]


def _from_document(document: dict[str, Any], data_type: type[D]) -> Event[D]:
    _check_versions(document, data_type)
    try:
        return _model(data_type).model_validate(document)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_url=False)[:5]
        )
        raise UnreadableError(f"no {data_type.type} event: {wrong}") from error


def _check_versions(document: Mapping[str, Any], data_type: type[EventData]) -> None:
    specversion, told = document.get("specversion"), document.get("type")
    if isinstance(specversion, str) and not specversion.startswith("1."):
        raise UnreadableError(f"specversion: {specversion!r} is unknown here, which reads CloudEvents 1")
    if not isinstance(told, str):
        raise UnreadableError("type: an event says what it is by a text")
    name, major = _split_version(told)
    if name != data_type.type:
        raise UnreadableError(f"type: {told!r} is unknown in a queue of {data_type.type}")
    _, schema_major = _split_version(str(document.get("dataschema") or ""))
    for field, value in (("type", major), ("dataschema", schema_major)):
        if value not in (None, MAJOR):
            raise UnreadableError(
                f"{field}: {document[field]!r} has major version {value}, this release reads {MAJOR}"
            )


def _split_version(text: str) -> tuple[str, int | None]:
    found = _VERSIONED.match(text)
    return (found["name"], int(found["major"])) if found else (text, None)


def _structured_document(body: bytes) -> dict[str, Any]:
    document = _json(body, "body")
    if not isinstance(document, dict):
        raise UnreadableError("body: a structured event is a JSON object")
    if "data" not in document and isinstance(document.get("data_base64"), str):
        try:
            document["data"] = _json(base64.b64decode(document["data_base64"], validate=True), "data_base64")
        except ValueError as error:
            raise UnreadableError(f"data_base64: {error}") from error
    return document


def _binary_document(message: Message) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for key, value in message.headers.items():
        for prefix in BINARY_PREFIXES:
            if key.startswith(prefix):
                attributes[key.removeprefix(prefix)] = value.decode() if isinstance(value, bytes) else value
    if not attributes:
        raise UnreadableError(
            f"content type: {message.content_type!r} is not {STRUCTURED_TYPE}, and there are no ce-* headers"
        )
    return attributes | {"data": _json(message.body, "body")}


def _json(text: bytes, field: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UnreadableError(f"{field}: no JSON: {error}") from error


def event_type(message: Message) -> str | None:
    """Return the type that a message of either mode gives itself, None where it gives none.

    Raises:
        UnreadableError: It is no event at all.
    """
    structured = message.content_type.startswith(STRUCTURED_TYPE)
    document = _structured_document(message.body) if structured else _binary_document(message)
    named = document.get("type")
    return named if isinstance(named, str) else None
