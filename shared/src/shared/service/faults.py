"""Errors as HTTP answers, all of one shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from shared.errors import ConflictError, InvalidInputError, NotFoundError, TransientError
from shared.redaction import is_secret_name, redact_text
from shared.retry_after import retry_after_headers

SHOWN_CHARACTERS = 100


class Fault(BaseModel):
    """One field that is not as it must be."""

    field: str
    value: str = Field(description="What was given, shortened.")
    expected: str


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(examples=["not_found"], description="Names the kind of error, for programs.")
    message: str = Field(description="Says what went wrong, for people.")
    request_id: str = Field(description="Finds the request in the logs.")
    faults: list[Fault] = []


class ErrorResponse(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "What was asked for cannot be done as asked."},
    422: {"model": ErrorResponse, "description": "The request is not of the documented form."},
    503: {"model": ErrorResponse, "description": "Not now; `Retry-After` says when to ask again."},
    "default": {"model": ErrorResponse, "description": "Any other error."},
}
"""Documents the errors that every route may answer with."""

_CODES = {
    400: "invalid_input",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    422: "invalid_request",
    429: "too_many_requests",
    503: "unavailable",
}


def add_error_answers(app: FastAPI) -> None:
    """Make ``app`` answer errors of ``shared.errors``, of FastAPI and of Starlette in one shape."""
    app.add_exception_handler(InvalidInputError, _invalid_input)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(ConflictError, _conflict)
    app.add_exception_handler(TransientError, _transient)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)


def error_answer(
    request_id: str,
    status: int,
    message: str,
    *,
    faults: list[Fault] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an error as every service answers it."""
    detail = ErrorDetail(
        code=_CODES.get(status, "internal_error" if status >= 500 else "error"),  # noqa: PLR2004 - HTTP
        message=redact_text(message),
        request_id=request_id,
        faults=faults or [],
    )
    body = ErrorResponse(error=detail).model_dump(exclude_defaults=True)
    return JSONResponse(body, status, headers=dict(headers or {}))


def _answer(request: Request, status: int, message: str, **more: Any) -> JSONResponse:
    return error_answer(getattr(request.state, "request_id", ""), status, message, **more)


async def _invalid_input(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InvalidInputError)
    faults = [_fault(error.field, error.value, str(error))] if error.field else []
    return _answer(request, 400, str(error), faults=faults)


async def _not_found(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, 404, str(error))


async def _conflict(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, 409, str(error))


async def _transient(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TransientError)
    return _answer(request, 503, str(error), headers=retry_after_headers(error))


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(_field(detail["loc"]), detail.get("input"), detail["msg"]) for detail in error.errors()]
    fields = ", ".join(fault.field for fault in faults)
    return _answer(request, 422, f"The request is not of the documented form: {fields}", faults=faults)


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _answer(request, error.status_code, str(error.detail), headers=error.headers)


def _field(location: Sequence[str | int]) -> str:
    inside_body = location[0] == "body" and len(location) > 1
    return ".".join(str(part) for part in (location[1:] if inside_body else location))


def _fault(field: str, value: object, expected: str) -> Fault:
    shown = "(hidden)" if is_secret_name(field) else redact_text(str(value))
    if len(shown) > SHOWN_CHARACTERS:
        shown = f"{shown[:SHOWN_CHARACTERS]}…"
    return Fault(field=field, value=shown, expected=redact_text(expected.replace("Input should be ", "")))
