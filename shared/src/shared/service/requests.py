"""Around every HTTP request: its id, its trace, its log line, its metrics, its last-resort answer."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import time
from dataclasses import dataclass
from functools import lru_cache
from uuid import uuid4

import structlog
from prometheus_client import Histogram
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.service.faults import error_answer
from shared.tracing import Kind, Span, parse_traceparent

DURATION = Histogram(
    "flightline_http_request_seconds",
    "Time until the whole answer was sent.",
    ["service", "method", "route", "status"],
)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_OURS = uuid4().hex[:24]
"""Begins the ids that this process gives: randomness for each would cost as much as an answer."""
_COUNT = itertools.count(secrets.randbits(24))
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_READING = {"GET", "HEAD"}
_FIRST_ERROR = 400
_FIRST_OF_OURS = 500
_PROBES = {"/healthz", "/readyz", "/metrics"}

_LOGGER = logging.getLogger("http")

log = structlog.get_logger("http")


@dataclass
class _Exchange:
    """One request while it is answered."""

    scope: Scope
    send: Send
    request_id: str
    status: int = 0

    async def forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode())]
        await self.send(message)

    @property
    def route(self) -> str:
        """Return the route's template, so that ids in paths do not become metrics."""
        return getattr(self.scope.get("route"), "path", "unmatched")


@dataclass
class Requests:
    """ASGI middleware around a service."""

    app: ASGIApp
    service: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(scope, send, request_id(headers))
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        with (
            structlog.contextvars.bound_contextvars(service=self.service, request_id=exchange.request_id),
            Span(scope["method"], Kind.SERVER, parse_traceparent(headers.get("traceparent"))) as span,
        ):
            await self._answer(exchange, receive)
            if span.is_collected:
                _describe(span, exchange)

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        started = time.perf_counter()
        try:
            await self.app(exchange.scope, receive, exchange.forward)
        except Exception:
            log.exception("request.failed", method=exchange.scope["method"], path=exchange.scope["path"])
            if exchange.status:  # too late for another answer: the server cuts the connection
                raise
            answer = error_answer(exchange.request_id, 500, "Something went wrong on our side.")
            await answer(exchange.scope, receive, exchange.forward)
        finally:
            self._report(exchange, time.perf_counter() - started)

    def _report(self, exchange: _Exchange, duration_s: float) -> None:
        method, path = exchange.scope["method"], exchange.scope["path"]
        label = method if method in _METHODS else "other"
        status = exchange.status or 499  # the client went away before there was an answer
        observe(self.service, label, exchange.route, status, duration_s)
        is_routine = path in _PROBES or (method in _READING and status < _FIRST_ERROR)
        if is_routine and not _LOGGER.isEnabledFor(logging.DEBUG):  # clients poll thousands of times a second
            return
        (log.debug if is_routine else log.info)(
            "request.answered",
            method=method,
            path=path,
            status=status,
            duration_ms=round(duration_s * 1000, 1),
        )


def observe(service: str, method: str, route: str, status: int, duration_s: float) -> None:
    """Count an answer in the metrics."""
    _series(service, method, route, status).observe(duration_s)


@lru_cache(maxsize=1024)
def _series(service: str, method: str, route: str, status: int) -> Histogram:
    return DURATION.labels(service, method, route, status)


def request_id(headers: Headers) -> str:
    """Return the id that a client or a proxy gave its request, or a new one."""
    given = headers.get("x-request-id", "")
    return given if given and _REQUEST_ID.fullmatch(given) else f"{_OURS}{next(_COUNT):08x}"


def _describe(span: Span, exchange: _Exchange) -> None:
    span.name = f"{exchange.scope['method']} {exchange.route}"
    span.is_kept = exchange.scope["path"] not in _PROBES
    span.attributes.update(
        {
            "http.request.method": exchange.scope["method"],
            "http.route": exchange.route,
            "http.response.status_code": exchange.status,
            "flightline.request_id": exchange.request_id,
        }
    )
    if exchange.status >= _FIRST_OF_OURS:
        span.fail(f"answered {exchange.status}")
