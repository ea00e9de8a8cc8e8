"""A short way to the answers that clients poll: the layers of an application cost more than they do.

``/task/{uuid}/info`` is answered three times as often as by the same function as a route of FastAPI.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from odm_gateway.domain.callers import Caller
from odm_gateway.node import Node
from odm_gateway.routes.asking import caller_of, node_of
from odm_gateway.wire.answers import failure
from odm_gateway.wire.cors import ANYWHERE
from shared.errors import PermanentError
from shared.service.requests import observe, request_id

FIRST_ERROR = 400
"""From here on an answer has a line in the log, which is the application's business."""

_LOGGER = logging.getLogger("http")

Answer = Callable[[Request, Node, Caller, str], Awaitable[Response]]
"""From a request, with the id that its path names, to its answer."""


@dataclass(frozen=True, slots=True)
class Poll:
    """A route that is answered here."""

    path: str
    """Its template, for metrics."""
    answer: Answer


@dataclass(frozen=True, slots=True)
class Polls:
    """ASGI middleware: answers some GETs; all else, and trouble of every kind, is the application's."""

    app: ASGIApp
    service: str
    polls: Mapping[str, Poll]
    """By path, the id in it replaced by ``*``."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path, task_id = _named(scope["path"]) if scope.get("method") == "GET" else ("", "")
        poll = self.polls.get(path)
        if poll is None or _LOGGER.isEnabledFor(logging.DEBUG):  # then every request has its line
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        answer = await _answer(poll, Request(scope, receive), task_id)
        if answer is None or answer.status_code >= FIRST_ERROR:
            await self.app(scope, receive, send)
            return
        answer.raw_headers += [ANYWHERE, (b"x-request-id", request_id(Headers(scope=scope)).encode())]
        await answer(scope, receive, send)
        observe(self.service, "GET", poll.path, answer.status_code, time.perf_counter() - began)


def _named(path: str) -> tuple[str, str]:
    """Return a path with the id of its task replaced by ``*``, and that id."""
    parts = path.split("/")
    if len(parts) == 4 and parts[1] == "task" and parts[2]:  # noqa: PLR2004 - "", task, id, what of it
        return f"/task/*/{parts[3]}", parts[2]
    return path, ""


async def _answer(poll: Poll, request: Request, task_id: str) -> Response | None:
    try:
        node = await node_of(request)
        return await poll.answer(request, node, await caller_of(request, node), task_id)
    except PermanentError as error:
        return failure(str(error))
    except Exception:  # noqa: BLE001 - the application meets it again, reports it and answers
        return None
