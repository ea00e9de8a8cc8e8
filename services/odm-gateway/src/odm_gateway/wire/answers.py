"""Answers as NodeODM gives them: errors with status 200, unknown paths as HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from typing_extensions import override

from shared.errors import PermanentError

HTTP_NOT_FOUND = 404
HTTP_METHOD_NOT_ALLOWED = 405

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Json(JSONResponse):
    """JSON with the media type that Express writes."""

    media_type = "application/json; charset=utf-8"


class RefusedError(PermanentError):
    """NodeODM's clients expect this text as the error of an answer."""


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
