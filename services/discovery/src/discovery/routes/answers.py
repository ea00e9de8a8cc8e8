"""Errors of the user's document: ``{"success": false, "error": sentence, "detail"?: which field}``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from typing_extensions import override

from shared.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermanentError,
    TransientError,
)
from shared.redaction import is_secret_name, redact_text
from shared.retry_after import retry_after_headers
from shared.sources import LoginNeededError, SourceForbiddenError

DETAIL_CHARACTERS = 500


class Refused(BaseModel):
    """What an error looks like."""

    success: bool = False
    error: str
    detail: str | None = None


REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": Refused, "description": text}
    for code, text in (
        (400, "What was asked for cannot be done as asked."),
        (401, "Nobody who is logged in."),
        (403, "Somebody who may not."),
        (404, "There is none."),
        (409, "The login is over: log in again."),
        (429, "Too soon."),
        (502, "Tapis gave an answer that makes no sense."),
        (503, "Not now; `Retry-After` says when to ask again."),
    )
}


class DocumentedRoute(APIRoute):
    """A route whose errors are those of the user's document."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except (HTTPException, RequestValidationError, PermanentError, TransientError) as error:
                return refusal(error)

        return answered


def refusal(error: Exception) -> JSONResponse:
    """Return an error as the user's document has it."""
    match error:
        case HTTPException():
            return _refused(error.status_code, str(error.detail), headers=error.headers)
        case RequestValidationError():
            return _refused(400, "The request is not of the documented form.", _wrong(error))
        case TransientError():
            return _refused(503, str(error), headers=retry_after_headers(error))
        case _:
            return _refused(_status(error), str(error))


def _status(error: Exception) -> int:
    statuses: tuple[tuple[type[Exception], int], ...] = (
        (LoginNeededError, 401),
        (SourceForbiddenError, 403),
        (InvalidInputError, 400),
        (NotFoundError, 404),
        (ConflictError, 409),
    )
    return next((status for kind, status in statuses if isinstance(error, kind)), 502)


def _refused(
    status: int, error: str, detail: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = Refused(error=redact_text(error), detail=detail)
    return JSONResponse(body.model_dump(exclude_none=True), status, headers=dict(headers or {}))


def _wrong(error: RequestValidationError) -> str:
    """Return which fields are wrong, and how; what a secret one held is not repeated."""
    told = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"] if part != "body") or "body"
        shown = "" if is_secret_name(where) else f" (got {str(fault.get('input'))[:60]!r})"
        told.append(f"{where}: {fault['msg']}{shown}")
    return redact_text("; ".join(told))[:DETAIL_CHARACTERS]
