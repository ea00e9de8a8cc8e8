"""What a request is about: the Vault it is for, its token, its path and its body."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from flightline.vault_simulator.answers import RefusedError, denied
from flightline.vault_simulator.tokens import Token
from flightline.vault_simulator.vault import SimulatedVault

_BODY_AT_MOST_BYTES = 1 << 20
API = "/v1/"


def vault_of(request: Request) -> SimulatedVault:
    """Return the Vault that a request is for."""
    vault: SimulatedVault = request.app.state.vault
    return vault


def path_of(request: Request) -> str:
    """Return a request's path below ``/v1/``, with its escapes undone."""
    path: str = request.scope["path"]
    return path.removeprefix(API).strip("/")


def allowed(request: Request, path: str | None = None) -> Token:
    """Return the token of a request that may do what it asks for.

    Raises:
        RefusedError: It may not.
    """
    vault = vault_of(request)
    path = path_of(request) if path is None else path
    if path.startswith(vault.condition.denied or ("\0",)):
        raise denied()
    is_write = request.method not in ("GET", "HEAD", "LIST")
    return vault.tokens.check(token_of(request), path, is_write=is_write)


def token_of(request: Request) -> str:
    """Return the token that a request carries; empty if none."""
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return request.headers.get("X-Vault-Token", bearer)


async def body_of(request: Request) -> dict[str, Any]:
    """Return a request's JSON object; nothing, where there is no body.

    Raises:
        RefusedError: It is no JSON object, or too large.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _BODY_AT_MOST_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "http: request body too large")
    try:
        body = json.loads(content or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "failed to decode JSON input")
    return body
