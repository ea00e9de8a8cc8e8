"""Server-sent events: how far the operations of a session are, or one of them.

The token is in a header here, too, never in the URL. A browser's ``EventSource`` cannot send one: pages
read these streams with ``fetch``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request

from datalab.domain.news import News
from datalab.laboratory import Laboratory
from datalab.routes.asking import Lab, Number, User
from datalab.waiting import Follower
from datalab.wire.answers import json_bytes
from datalab.wire.errors import RESPONSES
from datalab.wire.views import news_json
from shared.errors import NotFoundError, TransientError
from shared.service.event_stream import EventStream

router = APIRouter(prefix="/api/datasessions/{session}", tags=["operations"], responses=RESPONSES)

HEARTBEAT_S = 15.0
RETRY = b"retry: 3000\n\n"
HEARTBEAT = b": keep-alive\n\n"
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "Server-sent events: `operation` with its `id`, `status`, `operation_progress` and"
        " `message`, and `deleted` with its `id`. A new connection begins with how everything is now.",
    },
    429: {"description": "You follow too often at once."},
}


@router.get(
    "/events/",
    summary="Follow a session's operations, as server-sent events",
    response_class=EventStream,
    status_code=200,  # said, since the class has no default that the API document could take
    responses=ANSWERS,
)
async def follow_session(request: Request, session: Number, user: User, lab: Lab) -> EventStream:
    """Send ``operation`` for each as it is now, and then whenever one changes; it ends with the session."""
    await lab.sessions.of(user.name, session)
    return _stream(request, lab, user.name, session, None)


@router.get(
    "/operations/{operation}/events/",
    summary="Follow an operation, as server-sent events",
    response_class=EventStream,
    status_code=200,  # said, since the class has no default that the API document could take
    responses=ANSWERS,
)
async def follow_operation(
    request: Request, session: Number, operation: Number, user: User, lab: Lab
) -> EventStream:
    """Send ``operation`` as it is now, and then whenever it changes, until it has ended."""
    await lab.sessions.operation(await lab.sessions.of(user.name, session), operation)
    return _stream(request, lab, user.name, session, operation)


def _stream(
    request: Request, lab: Laboratory, owner: str, session: int, operation: int | None
) -> EventStream:
    lab.waiting.check_room(owner)
    frames = _frames(lab, owner, session, operation, HEARTBEAT_S)
    return EventStream(frames, request.app.state.service.draining)


async def _frames(
    lab: Laboratory, owner: str, session: int, operation: int | None, heartbeat_s: float
) -> AsyncGenerator[bytes, None]:
    yield RETRY
    with lab.waiting.follower(owner, session, operation) as follower:
        await lab.waiting.catch_up(follower)
        while True:
            news = await _next(follower, heartbeat_s)
            if news is not None:
                yield _frame(news)
            elif await _is_there(lab, owner, session):
                yield HEARTBEAT
            else:
                return
            if operation is not None and news is not None and news.is_last:
                return


async def _next(follower: Follower, within_s: float) -> News | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            return await follower.next()
    return None


async def _is_there(lab: Laboratory, owner: str, session: int) -> bool:
    try:
        await lab.sessions.of(owner, session)
    except NotFoundError:
        return False
    except TransientError:  # it is not known to be gone
        return True
    return True


def _frame(news: News) -> bytes:
    kind = "deleted" if news.state is None else "operation"
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json_bytes(news_json(news)))
