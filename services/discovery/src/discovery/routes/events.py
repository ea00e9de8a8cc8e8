"""Events from outside systems, which are published as if they were ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field
from starlette.status import HTTP_413_CONTENT_TOO_LARGE

from discovery.domain.flights import PostedEvent
from discovery.routes.asking import service_only
from shared.errors import InvalidInputError
from shared.events import Event, FlightFound, ImagesStaged
from shared.messaging.codec import UnreadableError, decode, event_type
from shared.messaging.port import Message
from shared.state import AlreadyExistsError, Collection

router = APIRouter(tags=["events"])

POSTED_KEPT = timedelta(days=7)
EVENT_AT_MOST_BYTES = 1 << 20
BATCH_AT_MOST = 1000
BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"

Taken: TypeAlias = Event[FlightFound] | Event[ImagesStaged]


class Accepted(BaseModel):
    """An event that is stored and will be published."""

    id: str
    type: str
    duplicate: bool = Field(description="Whether the same event was accepted before.")


class BatchAccepted(BaseModel):
    """A batch of events, each stored."""

    accepted: list[Accepted]


@router.post(
    "/events",
    status_code=202,
    summary="Publish flight-found or images-staged from outside",
    dependencies=[Depends(service_only)],
)
async def post_event(request: Request) -> Accepted | BatchAccepted:
    """Take one CloudEvent, structured or binary, or a batch: where one of it is malformed, none of it."""
    body = await _bounded_body(request)
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() == BATCH:
        events = [
            _readable(json.dumps(one).encode(), {}, STRUCTURED, f"[{number}]: ")
            for number, one in enumerate(_batch(body))
        ]
        return BatchAccepted(accepted=[await _accepted(request, event) for event in events])
    return await _accepted(request, _readable(body, dict(request.headers), content_type))


async def _accepted(request: Request, event: Taken) -> Accepted:
    posted: Collection[PostedEvent] = request.state.posted
    now = datetime.now(UTC)
    try:
        await posted.insert(
            sha256(event.key.encode()).hexdigest(),
            PostedEvent(key=event.key, type=event.type, received_at=now),
            events=[event],
            expires_at=now + POSTED_KEPT,
        )
    except AlreadyExistsError:
        return Accepted(id=event.id, type=event.type, duplicate=True)
    return Accepted(id=event.id, type=event.type, duplicate=False)


def _batch(body: bytes) -> list[Any]:
    try:
        events = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("the batch is no JSON", field="event") from error
    if not isinstance(events, list) or len(events) > BATCH_AT_MOST:
        raise InvalidInputError(f"a batch is a list of at most {BATCH_AT_MOST} events", field="event")
    return events


def _readable(body: bytes, headers: dict[str, str], content_type: str, where: str = "") -> Taken:
    message = Message(body, "", headers=headers, content_type=content_type)
    try:
        match event_type(message):
            case FlightFound.type:
                return decode(message, FlightFound)
            case ImagesStaged.type:
                return decode(message, ImagesStaged)
            case other:
                raise InvalidInputError(
                    f"{where}{other!r} is not taken from outside; flight-found and images-staged are",
                    field="type",
                    value=other,
                )
    except UnreadableError as error:
        raise InvalidInputError(f"{where}{error}", field="event") from error


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > EVENT_AT_MOST_BYTES:
            raise HTTPException(
                HTTP_413_CONTENT_TOO_LARGE, f"the event is larger than {EVENT_AT_MOST_BYTES} bytes"
            )
    return bytes(body)
