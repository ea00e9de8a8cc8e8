"""Logging in, one's own tokens, and what the portal tells of its users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import AwareDatetime, BaseModel, Field
from starlette.status import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from datalab.clock import written
from datalab.domain.users import Token
from datalab.routes.asking import Fields, FromPortal, Lab, User, refuse_tokens_in_url
from datalab.wire import fields as wire
from datalab.wire.answers import JsonAnswer
from datalab.wire.errors import RESPONSES, RefusedError, at_fault
from datalab.wire.openapi import body_of
from shared.state import Document

router = APIRouter(tags=["users"], responses=RESPONSES)

KEY_CHARACTERS = 16
"""Of a token's hash, which tell it from its owner's others."""
LABEL_AT_MOST_CHARACTERS = 100
SECRET_AT_MOST_BYTES = 64 << 10
NOT_LOGGED_IN = "Unable to log in with provided credentials."


class Login(BaseModel):
    """Who wants a token."""

    username: str
    password: str


class Given(BaseModel):
    """A token, which is told this once."""

    token: str


class TokenView(BaseModel):
    """A token, as far as it can be told."""

    id: str = Field(description="Names it where it is to be revoked.")
    label: str
    created: AwareDatetime
    used: AwareDatetime | None = Field(description="Within some minutes.")


class Profile(BaseModel):
    """Who you are."""

    username: str
    is_admin: bool
    tokens: list[TokenView]


class Label(BaseModel):
    """What a token is for."""

    label: str = Field(default="", max_length=LABEL_AT_MOST_CHARACTERS)


class PortalUser(BaseModel):
    """A user of the portal."""

    username: str
    api_token: str | None = Field(default=None, description="Opens the account here, and the archive.")


class Message(BaseModel):
    """What was done."""

    message: str


@router.post(
    "/api/api-token-auth/",
    summary="Get a token",
    response_model=Given,
    openapi_extra=body_of(Login),
)
async def log_in(request: Request, lab: Lab, body: Fields) -> Response:
    """By name and password, as at the portal."""
    refuse_tokens_in_url(request)
    name = wire.field(body, "username", wire.text)
    token = await lab.accounts.login(name, wire.field(body, "password", wire.secret))
    if token is None:
        raise RefusedError(NOT_LOGGED_IN, faults={"non_field_errors": [NOT_LOGGED_IN]})
    return JsonAnswer({"token": token})


@router.get("/api/profile/", summary="Tell who you are", response_model=Profile)
async def read_profile(user: User, lab: Lab) -> Response:
    """With your tokens, as far as they can be told."""
    tokens = [_json(token) for token in await lab.accounts.tokens_of(user.name)]
    return JsonAnswer({"username": user.name, "is_admin": user.is_admin, "tokens": tokens})


@router.post(
    "/api/profile/tokens/",
    summary="Get another token",
    status_code=HTTP_201_CREATED,
    response_model=Given,
    openapi_extra=body_of(Label),
)
async def add_token(user: User, lab: Lab, body: Fields) -> Response:
    """For a notebook, say; each can be revoked by itself."""
    label = wire.optional({name: value for name, value in body.items() if value != ""}, "label", _label)
    return JsonAnswer({"token": await lab.accounts.add_token(user.name, label=label or "")}, HTTP_201_CREATED)


@router.delete(
    "/api/profile/tokens/{token}/",
    summary="Revoke a token",
    status_code=HTTP_204_NO_CONTENT,
    response_class=Response,
)
async def revoke_token(
    token: Annotated[str, Path(pattern="^[0-9a-f]{16}$")], user: User, lab: Lab
) -> Response:
    """Other processes may let it in for some seconds more."""
    await lab.accounts.revoke(user.name, token)
    return Response(status_code=HTTP_204_NO_CONTENT)


@router.post(
    "/authprofile/addupdateuser/",
    summary="Tell of a user of the portal",
    dependencies=[FromPortal],
    response_model=Message,
    responses={403: RESPONSES["default"]},
    openapi_extra=body_of(PortalUser),
)
async def add_or_update_user(lab: Lab, body: Fields) -> Response:
    """The portal does, whenever one is new or gets another token."""
    name, token = wire.field(body, "username", wire.text), _api_token(body)
    if await lab.accounts.portal_user(name) is None:
        raise at_fault({"username": ["There is a local user of this name."]})
    if token:
        await lab.accounts.add_token(name, label="portal", token=token, from_portal=True)
    return JsonAnswer({"message": "User account updated."})


def _api_token(body: Mapping[str, Any]) -> str | None:
    """Return the token of a profile, wherever the portal put it."""
    tokens = body.get("tokens")
    nested = tokens.get("api_token") if isinstance(tokens, Mapping) else None
    found = body.get("api_token") or nested
    return None if found is None else wire.field({"api_token": found}, "api_token", wire.secret)


def _label(value: Any) -> str:
    return wire.text(value, LABEL_AT_MOST_CHARACTERS)


def _json(document: Document[Token]) -> dict[str, Any]:
    token = document.body
    return {
        "id": document.id[:KEY_CHARACTERS],
        "label": token.label,
        "created": written(token.created_us),
        "used": written(token.used_us) if token.used_us else None,
    }
