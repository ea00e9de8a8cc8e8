"""Errors as clients know them: ``error`` to be shown, and beside it the names of fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from datalab.wire.answers import JsonAnswer
from shared.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermanentError,
    TransientError,
)
from shared.redaction import redact_text
from shared.retry_after import retry_after_headers

Faults = Mapping[str, Sequence[str]]
"""What is wrong, by field."""


class Problem(BaseModel):
    """Every answer that is an error; those about fields have these, too, each with what is wrong with it."""

    model_config = ConfigDict(extra="allow")

    error: str = Field(description="Says what is wrong, for people.")
    detail: str | None = Field(default=None, description="The same, where no field is at fault.")


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "What was asked for cannot be done as asked."},
    401: {"model": Problem, "description": "Nobody is known by this token, or there is none."},
    404: {"model": Problem, "description": "There is none, or it is somebody else's."},
    413: {"model": Problem, "description": "The body is too large."},
    422: {"model": Problem, "description": "Not used."},
    503: {"model": Problem, "description": "Not now; `Retry-After` says when to ask again."},
    "default": {"model": Problem, "description": "Any other error."},
}
"""Documents the errors that every route may answer with."""


class RefusedError(PermanentError):
    """A request that is answered with an error."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        faults: Faults | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.faults = faults
        self.headers = headers


def at_fault(faults: Faults) -> RefusedError:
    """Return the error of fields that are not as they must be."""
    told = [f"{field}: {' '.join(messages)}" for field, messages in faults.items()]
    return RefusedError("; ".join(told), faults=faults)


def missing(kind: str) -> NotFoundError:
    """Return the error of something that is not there, or somebody else's."""
    return NotFoundError(f"No {kind} matches the given query.")


def add_error_answers(app: FastAPI) -> None:
    """Make ``app`` answer all its errors in this form."""
    app.add_exception_handler(PermanentError, _permanent)
    app.add_exception_handler(InvalidInputError, _permanent)
    app.add_exception_handler(NotFoundError, _permanent)
    app.add_exception_handler(ConflictError, _permanent)
    app.add_exception_handler(TransientError, _transient)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)


def problem(
    message: str, status: int, *, faults: Faults | None = None, headers: Mapping[str, str] | None = None
) -> JsonAnswer:
    """Return an error's answer."""
    told = redact_text(message)
    if faults:
        fields = {field: [redact_text(text) for text in texts] for field, texts in faults.items()}
        return JsonAnswer({"error": told, **fields}, status, headers=headers)
    return JsonAnswer({"error": told, "detail": told}, status, headers=headers)


async def _permanent(_request: Request, error: Exception) -> JsonAnswer:
    match error:
        case RefusedError():
            return problem(str(error), error.status, faults=error.faults, headers=error.headers)
        case InvalidInputError(field=str(field)):
            return problem(str(error), 400, faults={field: [str(error)]})
        case NotFoundError():
            return problem(str(error), 404)
        case ConflictError():
            return problem(str(error), 409)
        case _:
            return problem(str(error), 400)


async def _transient(_request: Request, error: Exception) -> JsonAnswer:
    assert isinstance(error, TransientError)
    return problem(str(error), 503, headers=retry_after_headers(error))


async def _invalid_request(_request: Request, error: Exception) -> JsonAnswer:
    assert isinstance(error, RequestValidationError)
    details = error.errors()
    if any(detail["loc"][0] == "path" for detail in details):
        return problem("Not found.", 404)
    faults = {str(detail["loc"][-1]): [str(detail["msg"])] for detail in details}
    refused = at_fault(faults)
    return problem(str(refused), refused.status, faults=faults)


async def _http_exception(request: Request, error: Exception) -> JsonAnswer:
    assert isinstance(error, HTTPException)
    said = {404: "Not found.", 405: f'Method "{request.method}" not allowed.'}
    message = said.get(error.status_code, str(error.detail))
    return problem(message, error.status_code, headers=error.headers)
