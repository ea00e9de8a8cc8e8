"""Requests about tokens, and logins."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from flightline.vault_simulator.answers import done, given
from flightline.vault_simulator.asking import allowed, body_of, path_of, vault_of


async def lookup_self(request: Request) -> Response:
    """Answer ``GET auth/token/lookup-self``."""
    return given(allowed(request).document())


async def renew_self(request: Request) -> Response:
    """Answer ``POST auth/token/renew-self``; the increment is left to us, as Vault may."""
    token = vault_of(request).tokens.renew(allowed(request))
    return given(None, auth=token.auth())


async def revoke_self(request: Request) -> Response:
    """Answer ``POST auth/token/revoke-self``."""
    vault_of(request).tokens.revoke(allowed(request))
    return done()


async def log_in(request: Request) -> Response:
    """Answer ``POST auth/{mount}/login``, for which no token is needed."""
    path = path_of(request)
    mount = path.removeprefix("auth/").removesuffix("/login")
    token = vault_of(request).logins.log_in(mount, await body_of(request))
    return given(None, auth=token.auth())
