"""Who asks, and what routes work with."""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from fastapi.security import APIKeyHeader
from pydantic import SecretStr

from datalab.domain.users import Caller
from datalab.laboratory import Laboratory
from datalab.wire.bodies import read_object
from datalab.wire.errors import RefusedError

SCHEMES = ("token", "bearer")
IN_QUERIES = frozenset(
    {"token", "access_token", "api_token", "auth_token", "apikey", "api_key", "authorization"}
)
NOT_PROVIDED = "Authentication credentials were not provided."
NO_CREDENTIALS = "Invalid token header. No credentials provided."
WITH_SPACES = "Invalid token header. Token string should not contain spaces."
NO_ASCII = "Invalid token header. Token string should not contain invalid characters."
NOBODYS = "Invalid token."
IN_A_URL = "A token in a URL ends up in logs: send it in a header, and have this one revoked."

_header = APIKeyHeader(
    name="Authorization",
    auto_error=False,
    description="`Token …` or `Bearer …`, of datalab or of the portal.",
)


def laboratory(request: Request) -> Laboratory:
    """Return what routes work with."""
    lab: Laboratory = request.state.laboratory
    return lab


Lab = Annotated[Laboratory, Depends(laboratory)]


def refuse_tokens_in_url(request: Request) -> None:
    """Refuse a request with a token in its query.

    Raises:
        RefusedError: There is one.
    """
    if any(name.lower() in IN_QUERIES for name in request.query_params):
        raise RefusedError(IN_A_URL)


async def _caller(request: Request, lab: Lab, _: Annotated[str | None, Depends(_header)]) -> Caller:
    caller = await lab.doorkeeper.caller(_token(request))
    if caller is None:
        raise _unknown(NOBODYS)
    return caller


User = Annotated[Caller, Depends(_caller)]
"""Whoever carries a token."""


async def _admin(request: Request, lab: Lab, _: Annotated[str | None, Depends(_header)]) -> Caller:
    token, own = _token(request), lab.settings.token
    if own is not None and _is_same(token, own):
        return Caller("", is_admin=True)
    caller = await lab.doorkeeper.caller(token)
    if caller is None:
        raise _unknown(NOBODYS)
    if not caller.is_admin:
        raise RefusedError("You do not have permission to perform this action.", status=403)
    return caller


Admin = Annotated[Caller, Depends(_admin)]
"""An admin, or the operator with the service's own token."""


async def _portal(request: Request, lab: Lab, _: Annotated[str | None, Depends(_header)]) -> None:
    scheme, _blank, key = request.headers.get("authorization", "").partition(" ")
    own = lab.settings.server_key
    if scheme.lower() != "server" or own is None or not _is_same(key.strip(), own):
        raise RefusedError("Invalid or missing API Key.", status=403)


FromPortal = Depends(_portal)
"""Lets only the portal through, by the key that it shares with us."""


async def _fields(request: Request, lab: Lab) -> dict[str, Any]:
    return await read_object(request, lab.settings.max_body_bytes)


Fields = Annotated[dict[str, Any], Depends(_fields)]
"""The fields of a request's body; declare it behind ``User``: strangers' bodies are not read."""


Number = Annotated[int, Path(ge=0, lt=10**15)]
"""An id; a path with anything else in its place leads nowhere."""


def _token(request: Request) -> str:
    refuse_tokens_in_url(request)
    parts = request.headers.get("authorization", "").split()
    if not parts or parts[0].lower() not in SCHEMES:
        raise _unknown(NOT_PROVIDED)
    if len(parts) == 1:
        raise _unknown(NO_CREDENTIALS)
    if len(parts) > 2:  # noqa: PLR2004 - the scheme and the token
        raise _unknown(WITH_SPACES)
    if not parts[1].isascii():
        raise _unknown(NO_ASCII)
    return parts[1]


def _unknown(message: str) -> RefusedError:
    return RefusedError(message, status=401, headers={"WWW-Authenticate": "Token"})


def _is_same(given: str, own: SecretStr) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), own.get_secret_value().encode())
