"""HTTP requests that go out by aiohttp: the trace goes along, and how they were answered is measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.outgoing import SECONDS
from shared.tracing.spans import Kind, Span, current

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse

FIRST_ERROR = 400
METHODS = frozenset({"DELETE", "GET", "HEAD", "MKCOL", "MOVE", "POST", "PROPFIND", "PROPPATCH", "PUT"})


def watched(system: str) -> ClientMiddlewareType:
    """Return a middleware of ``ClientSession`` for requests to one kind of system."""

    async def asked(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        started, outcome = time.perf_counter(), "unanswered"
        try:
            answer = await _traced(system, request, handler)
            outcome = f"{answer.status // 100}xx"
            return answer
        finally:
            method = request.method if request.method in METHODS else "other"
            SECONDS.labels(system, method, outcome).observe(time.perf_counter() - started)

    return asked


async def _traced(system: str, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    if current() is None:
        return await handler(request)
    with Span(f"{request.method} {system}", Kind.CLIENT) as span:
        request.headers["traceparent"] = span.context.traceparent
        answer = await handler(request)
        if span.is_collected:
            span.attributes["http.request.method"] = request.method
            span.attributes["server.address"] = request.url.host or ""
            span.attributes["http.response.status_code"] = answer.status
        if answer.status >= FIRST_ERROR:
            span.fail(f"answered {answer.status}")
        return answer
