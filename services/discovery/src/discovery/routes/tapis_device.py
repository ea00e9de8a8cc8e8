"""Logging in to Tapis from a terminal, with a code that the user types into any browser."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.status import HTTP_202_ACCEPTED, HTTP_502_BAD_GATEWAY

from discovery.domain.logins import UnknownTokenError
from discovery.routes.answers import REFUSALS, DocumentedRoute
from discovery.routes.asking import Tapis, WhatOwnersWant, doorkeeper
from discovery.routes.tapis_oauth import PARAMETER_AT_MOST, check_client
from discovery.tapis_access import OAUTH_PATH

if TYPE_CHECKING:
    from shared.tapis.claims import Claims

router = APIRouter(
    prefix=f"{OAUTH_PATH}/device", route_class=DocumentedRoute, tags=["tapis logins"], responses=REFUSALS
)

ASK_EVERY_S = 5


class DeviceBegun(BaseModel):
    """What to show to the user, and what to ask with."""

    success: bool = True
    user_code: str = Field(description="The user types this in …")
    verification_uri: str = Field(description="… here, in a browser that may be on another machine.")
    device_code: str = Field(description="Ask with this whether the user did so; it is a secret.")
    expires_in: int = Field(description="Seconds until the codes count no longer.")
    interval: int = Field(default=ASK_EVERY_S, description="Seconds to wait between two questions.")


class DeviceWaiting(BaseModel):
    """Which login is waited for."""

    model_config = ConfigDict(extra="ignore")

    device_code: Annotated[str, Field(min_length=1, max_length=PARAMETER_AT_MOST)]


class DeviceAnswer(BaseModel):
    """Whether the user has logged in."""

    success: bool = True
    is_pending: bool = Field(description="Whether the code was not typed in yet, or counts no longer.")
    user: str | None = None
    session: str | None = Field(
        default=None, description="A secret: send it as the cookie `flightline_session`."
    )
    expires_at: datetime | None = None


@router.post("/{client_id}/", summary="Begin a login from a terminal")
async def begin(client_id: str, tapis: Tapis) -> DeviceBegun:
    """Have Tapis give a code, which the user types into a browser."""
    from discovery.adapters.device_logins import new_device_code  # noqa: PLC0415 - heavy

    check_client(tapis, client_id)
    code = await new_device_code(tapis.logins)
    return DeviceBegun(
        user_code=code.user_code,
        verification_uri=code.verification_uri,
        device_code=code.device_code,
        expires_in=code.expires_in_s,
    )


@router.post("/{client_id}/login/", summary="Ask whether the user has typed the code in")
async def end(
    client_id: str,
    waiting: DeviceWaiting,
    request: Request,
    response: Response,
    tapis: Tapis,
    plans: WhatOwnersWant,
) -> DeviceAnswer:
    """Answer 202 until then; afterwards the login is kept, and a session begun.

    No cookie is set: a page of another site could make a browser ask.
    """
    check_client(tapis, client_id)
    claims = await _logged_in(tapis, waiting.device_code)
    if claims is None:
        response.status_code = HTTP_202_ACCEPTED
        return DeviceAnswer(is_pending=True)
    secret, session = await doorkeeper(request).welcome(claims)
    await plans.note_login(claims.owner)
    return DeviceAnswer(is_pending=False, user=claims.owner, session=secret, expires_at=session.expires_at)


async def _logged_in(tapis: Tapis, device_code: str) -> Claims | None:
    from discovery.adapters.device_logins import device_login  # noqa: PLC0415 - heavy

    try:
        return await device_login(tapis.logins, device_code)
    except UnknownTokenError as refused:
        raise HTTPException(
            HTTP_502_BAD_GATEWAY, f"Tapis gave a token that does not count: {refused}."
        ) from None
