"""Answers as NodeODM gives them: errors with status 200, unknown paths as HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Coroutine
from hashlib import blake2b
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from shared.errors import PermanentError
from shared.service.downloads import is_known

HTTP_OK = 200
HTTP_NOT_MODIFIED = 304
HTTP_NOT_FOUND = 404
HTTP_METHOD_NOT_ALLOWED = 405

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Json(JSONResponse):
    """JSON as Express writes it: its media type, and for what is read a weak ETag, so that it may be 304."""

    media_type = "application/json; charset=utf-8"

    @override
    def render(self, content: object) -> bytes:
        try:
            return orjson.dumps(content)
        except TypeError:  # numbers beyond 64 bits
            return super().render(content)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD") and self.status_code == HTTP_OK:
            self._be_conditional(scope)
        await super().__call__(scope, receive, send)

    def _be_conditional(self, scope: Scope) -> None:
        """Name the content, and leave it out where the client has it already."""
        tag = weak_tag(bytes(self.body))
        self.raw_headers.append((b"etag", tag.encode()))
        known = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
        if known is not None and is_known(tag, known.decode("latin-1")):
            self.status_code, self.body = HTTP_NOT_MODIFIED, b""
            del self.headers["Content-Type"], self.headers["Content-Length"]


def weak_tag(content: bytes) -> str:
    """Return the ETag of an answer that is equal whenever its content is."""
    return f'W/"{len(content):x}-{blake2b(content, digest_size=12).hexdigest()}"'


class NodeOdmRoute(APIRoute):
    """A route whose refusals are answers with status 200 and the key ``error``.

    What may pass stays an HTTP error (503): clients take an ``error`` for final, and retry anything else.
    """

    @override
    def get_route_handler(self) -> Handler:
        """Return the handler, its refusals translated."""
        handler = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                return await handler(request)
            except RequestValidationError as error:
                return failure(error.errors()[0]["msg"])
            except PermanentError as error:
                return failure(str(error))

        return translated


def failure(message: str) -> Json:
    """Return an error as most routes answer it."""
    return Json({"error": message})


def not_done(message: str) -> Json:
    """Return an error as cancel, remove and restart answer it."""
    return Json({"success": False, "error": message})


async def unknown_path(request: Request, error: Exception) -> Response:
    """Answer an unknown path or method as Express does."""
    status = error.status_code if isinstance(error, HTTPException) else HTTP_NOT_FOUND
    if status not in {HTTP_NOT_FOUND, HTTP_METHOD_NOT_ALLOWED}:
        return failure(str(error))
    wanted = html.escape(f"Cannot {request.method} {request.url.path}")
    page = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n<body>\n<pre>{wanted}</pre>\n</body>\n</html>\n'  # noqa: E501
    return HTMLResponse(page, HTTP_NOT_FOUND)
