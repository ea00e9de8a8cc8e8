"""Logging in to Tapis: a browser goes there and comes back with a code, which only that browser can use."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field
from starlette.status import (
    HTTP_302_FOUND,
    HTTP_400_BAD_REQUEST,
    HTTP_502_BAD_GATEWAY,
)

from discovery.domain.logins import (
    SESSION_KEPT,
    STATE_KEPT,
    CodeRefusedError,
    LoginState,
    OAuthState,
    UnknownTokenError,
    allowed_redirect,
    digest,
)
from discovery.domain.principals import SESSION_COOKIE, Principal
from discovery.routes.answers import REFUSALS, DocumentedRoute
from discovery.routes.asking import Reader, Tapis, WhatOwnersWant, doorkeeper
from discovery.tapis_access import OAUTH_PATH, STATUS_PATH, TapisAccess, authorize_url
from shared.errors import InvalidInputError, NotFoundError
from shared.state import RevisionError

if TYPE_CHECKING:
    from shared.tapis.claims import Claims

router = APIRouter(prefix=OAUTH_PATH, route_class=DocumentedRoute, tags=["tapis logins"], responses=REFUSALS)

BROWSER_COOKIE = "flightline_login"
SCOPE = "openid"
PARAMETER_AT_MOST = 4000

log = structlog.get_logger()

RedirectAfter = Annotated[
    str | None,
    Query(description="Where the browser goes after the login: a path of ours, or an allowed URL."),
]
Returned = Annotated[str | None, Query(max_length=PARAMETER_AT_MOST)]


class LoginBegun(BaseModel):
    """Where a browser logs in."""

    success: bool = True
    authorization_url: str = Field(description="Open this in a browser.")
    expires_in: int = Field(description="Seconds that a login may take from there.")


class TokenShown(BaseModel):
    """A login, without its tokens."""

    client_id: str
    client_name: str
    tenant_id: str
    is_valid: bool
    expires_at: datetime
    scope: str = SCOPE
    state: LoginState
    is_renewable: bool = Field(description="Whether it is renewed without the user.")


class LoginStatus(BaseModel):
    """Who is logged in, and how well."""

    user: str
    tokens: list[TokenShown]


class Refreshed(BaseModel):
    """A login was renewed."""

    success: bool = True
    expires_at: datetime


class Revoked(BaseModel):
    """A login is forgotten."""

    success: bool = True
    revoked_at_tapis: bool = Field(description="Whether Tapis could be told; else its tokens die by age.")
    message: str


@router.get(
    "/authorize/{client_id}/",
    status_code=HTTP_302_FOUND,
    summary="Send this browser to Tapis to log in",
    response_class=RedirectResponse,
)
async def authorize(client_id: str, tapis: Tapis, redirect_after: RedirectAfter = None) -> Response:
    """Begin a login in this browser, which alone can end it within ten minutes."""
    check_client(tapis, client_id)
    target = _checked_target(tapis, redirect_after)
    state, browser = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
    ends_at = datetime.now(UTC) + STATE_KEPT
    kept = OAuthState(client_id=client_id, browser=digest(browser), redirect_after=target, expires_at=ends_at)
    await tapis.states.insert(digest(state), kept, expires_at=ends_at)
    asked = {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": tapis.callback_url,
        "state": state,
        "scope": SCOPE,
    }
    answer = RedirectResponse(
        f"{tapis.logins.api.base_url}/v3/oauth2/authorize?{urlencode(asked)}", HTTP_302_FOUND
    )
    _set_cookie(answer, tapis, BROWSER_COOKIE, browser, STATE_KEPT, OAUTH_PATH)
    return answer


@router.post("/authorize/{client_id}/", summary="Tell where a browser logs in")
async def begin_login(client_id: str, tapis: Tapis, redirect_after: RedirectAfter = None) -> LoginBegun:
    """Answer what to open in a browser: a login belongs to the browser that began it."""
    check_client(tapis, client_id)
    target = _checked_target(tapis, redirect_after)
    query = f"?{urlencode({'redirect_after': target})}" if target else ""
    return LoginBegun(
        authorization_url=authorize_url(tapis.public_url, client_id) + query,
        expires_in=int(STATE_KEPT.total_seconds()),
    )


@router.get(
    "/callback/",
    status_code=HTTP_302_FOUND,
    summary="Where Tapis sends the browser back to",
    response_class=RedirectResponse,
)
async def callback(
    request: Request,
    tapis: Tapis,
    plans: WhatOwnersWant,
    code: Returned = None,
    state: Returned = None,
    error: Returned = None,
) -> Response:
    """End a login: trade the code for tokens, keep them sealed, and begin a session."""
    begun = await _taken(request, tapis, state)
    if error:
        raise HTTPException(HTTP_400_BAD_REQUEST, _provider_error(error))
    if not code:
        raise HTTPException(HTTP_400_BAD_REQUEST, "Tapis sent no code back. Log in again.")
    claims = await _logged_in(tapis, code)
    secret, _ = await doorkeeper(request).welcome(claims)
    await plans.note_login(claims.owner)
    answer = RedirectResponse(begun.redirect_after or STATUS_PATH, HTTP_302_FOUND)
    _set_cookie(answer, tapis, SESSION_COOKIE, secret, SESSION_KEPT, "/")
    _drop_cookie(answer, tapis, BROWSER_COOKIE, OAUTH_PATH)
    return answer


@router.post("/refresh/{client_id}/", summary="Renew your login now")
async def refresh(client_id: str, tapis: Tapis, user: Reader) -> Refreshed:
    """Renew the login, although it may be good for a while."""
    check_client(tapis, client_id)
    granted = await tapis.logins.refresh(_user_only(user))
    return Refreshed(expires_at=granted.expires_at)


@router.get("/status/", summary="Who is logged in, and how well")
async def status(tapis: Tapis, user: Reader) -> LoginStatus:
    """Return the login as it is, without asking Tapis."""
    login = await tapis.logins.known(user.owner) if user.owner else None
    if login is None:
        return LoginStatus(user=user.owner, tokens=[])
    is_active = login.state is LoginState.ACTIVE
    is_valid = is_active and (login.refresh_token is not None or login.is_good(datetime.now(UTC)))
    shown = TokenShown(
        client_id=login.client_id,
        client_name=login.client_id or "another application",
        tenant_id=login.tenant,
        is_valid=is_valid,
        expires_at=login.access_expires_at,
        state=login.state if is_valid else LoginState.LOGIN_NEEDED,
        is_renewable=is_active and login.refresh_token is not None,
    )
    return LoginStatus(user=login.owner, tokens=[shown])


@router.post("/revoke/{client_id}/", summary="Log out: forget the login here and at Tapis")
async def revoke(client_id: str, request: Request, response: Response, tapis: Tapis, user: Reader) -> Revoked:
    """End the sessions, have Tapis revoke the tokens, and forget them."""
    check_client(tapis, client_id)
    owner = _user_only(user)
    await doorkeeper(request).see_off(owner)
    _drop_cookie(response, tapis, SESSION_COOKIE, "/")
    is_told = await tapis.logins.forget(owner)
    told = "Tapis does not accept its tokens any more." if is_told else "Tapis could not be told."
    return Revoked(revoked_at_tapis=is_told, message=f"{owner} is logged out. {told}")


def check_client(tapis: TapisAccess, client_id: str) -> None:
    """Refuse an application that is not ours.

    Raises:
        NotFoundError: It is another one, or there is none.
    """
    if tapis.client_id is None:
        raise NotFoundError("users cannot log in here: set FLIGHTLINE_TAPIS_CLIENT_ID and its key")
    if client_id != tapis.client_id:
        raise NotFoundError(f"there is no OAuth2 client {client_id[:80]} here, but {tapis.client_id}")


def _checked_target(tapis: TapisAccess, target: str | None) -> str:
    if not target:
        return ""
    allowed = allowed_redirect(target, tapis.origins)
    if allowed is None:
        raise InvalidInputError(
            "redirect_after leads elsewhere: it must be a path of ours, or begin with one of"
            f" {', '.join(sorted(tapis.origins))} (DISCOVERY_ALLOWED_ORIGINS)",
            field="redirect_after",
        )
    return allowed


async def _taken(request: Request, tapis: TapisAccess, state: str | None) -> OAuthState:
    """Return the login that a browser has begun; nobody else may end it, and nobody twice."""
    document = await tapis.states.get(digest(state)) if state else None
    browser = request.cookies.get(BROWSER_COOKIE, "")
    is_this_browser = document is not None and secrets.compare_digest(document.body.browser, digest(browser))
    if document is None or not is_this_browser or document.body.expires_at <= datetime.now(UTC):
        raise HTTPException(
            HTTP_400_BAD_REQUEST,
            "This login was not begun in this browser, was ended already, or took longer than ten minutes."
            " Begin again.",
        )
    try:
        await tapis.states.delete(document)
    except RevisionError:
        raise HTTPException(HTTP_400_BAD_REQUEST, "This login was ended already. Begin again.") from None
    return document.body


async def _logged_in(tapis: TapisAccess, code: str) -> Claims:
    try:
        return await tapis.logins.log_in(code, tapis.callback_url)
    except CodeRefusedError as refused:
        log.warning("login.refused", reason=str(refused))
        raise HTTPException(
            HTTP_400_BAD_REQUEST,
            "Tapis did not accept the code that it sent: it may be too old, or the OAuth2 client's key or"
            " callback URL may not be what is set here. Log in again.",
        ) from None
    except UnknownTokenError as refused:
        log.warning("login.untrusted", reason=str(refused))
        raise HTTPException(
            HTTP_502_BAD_GATEWAY, f"Tapis gave a token that does not count: {refused}."
        ) from None


def _provider_error(error: str) -> str:
    if error == "access_denied":
        return "You did not let Flightline act for you, so nothing was changed."
    shown = "".join(letter for letter in error if letter.isalnum() or letter in "_-. ")[:60]
    return f"Tapis did not log you in ({shown}). Log in again."


def _user_only(user: Principal) -> str:
    if user.is_service:
        raise InvalidInputError("this is for a user's login; the service has its own")
    return user.owner


def _set_cookie(
    answer: Response, tapis: TapisAccess, name: str, value: str, kept: timedelta, path: str
) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=int(kept.total_seconds()),
        path=path,
        secure=tapis.is_secure,
        httponly=True,
        samesite="lax",
    )


def _drop_cookie(answer: Response, tapis: TapisAccess, name: str, path: str) -> None:
    answer.delete_cookie(name, path=path, secure=tapis.is_secure, httponly=True, samesite="lax")
