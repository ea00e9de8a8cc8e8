"""For our own services: Tapis tokens of users, so that ingest may read what discovery found for them."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.status import HTTP_401_UNAUTHORIZED, HTTP_409_CONFLICT

from discovery.routes.asking import Bearer, Tapis, doorkeeper
from shared.sources import LoginNeededError

router = APIRouter(include_in_schema=False)

PATH = "/internal/tapis-tokens"
TOKEN_AT_MOST_CHARACTERS = 16_384
NOT_STORED = {"Cache-Control": "no-store"}


class TokenWanted(BaseModel):
    """Whose token is wanted."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    owner: Annotated[str, Field(min_length=1, max_length=500)]
    rejected: Annotated[str, Field(max_length=TOKEN_AT_MOST_CHARACTERS)] | None = None
    """One that Tapis did not accept."""


@router.post(PATH)
async def give_token(wanted: TokenWanted, request: Request, bearer: Bearer, tapis: Tapis) -> JSONResponse:
    """Return a token of a user that is good for a while, and is not the rejected one."""
    ours = doorkeeper(request).internal_token
    given = bearer.credentials if bearer else ""
    if ours is None or not hmac.compare_digest(given.encode(), ours.get_secret_value().encode()):
        raise HTTPException(HTTP_401_UNAUTHORIZED, "This is for our own services: FLIGHTLINE_INTERNAL_TOKEN.")
    try:
        granted = await tapis.logins.granted(wanted.owner, wanted.rejected)
    except LoginNeededError as error:
        return JSONResponse({"error": str(error)}, HTTP_409_CONFLICT, headers=NOT_STORED)
    told = {"access_token": granted.access_token, "expires_at": granted.expires_at.isoformat()}
    return JSONResponse(told, headers=NOT_STORED)
