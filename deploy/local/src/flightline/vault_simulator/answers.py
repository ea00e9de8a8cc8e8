"""The forms of Vault's answers: one envelope for what it gives, one list for what it refuses."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response


class RefusedError(Exception):
    """The request is answered with errors, or with a body of its own."""

    def __init__(self, status: int, *errors: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(*errors)
        self.status = status
        self.body = body or {"errors": list(errors)}

    def answer(self) -> Response:
        """Return what is sent."""
        return JSONResponse(self.body, self.status)


def unknown() -> RefusedError:
    """Return how Vault refuses a token that is none."""
    return RefusedError(HTTPStatus.FORBIDDEN, "permission denied")


def denied() -> RefusedError:
    """Return how Vault refuses what a token's policies do not allow."""
    return RefusedError(HTTPStatus.FORBIDDEN, "1 error occurred:\n\t* permission denied\n\n")


def missing() -> RefusedError:
    """Return how Vault says that there is nothing: an empty list of errors."""
    return RefusedError(HTTPStatus.NOT_FOUND)


def envelope(
    data: dict[str, Any] | None,
    *,
    auth: dict[str, Any] | None = None,
    lease_s: int = 0,
    warnings: list[str] | None = None,
) -> dict[str, Any]:
    """Return what Vault wraps around everything that it gives."""
    return {
        "request_id": str(uuid.uuid4()),
        "lease_id": "",
        "renewable": False,
        "lease_duration": lease_s,
        "data": data,
        "wrap_info": None,
        "warnings": warnings,
        "auth": auth,
    }


def given(data: dict[str, Any] | None, **more: Any) -> Response:
    """Return an answer with data."""
    return JSONResponse(envelope(data, **more))


def done() -> Response:
    """Return an answer that says nothing but that it is so."""
    return Response(status_code=HTTPStatus.NO_CONTENT)


def moment(seconds: float | None = None) -> str:
    """Return a time as Go writes it; without one, now."""
    at = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}000Z"
