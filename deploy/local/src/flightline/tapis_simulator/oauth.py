"""The Authenticator for programs: tokens, clients, devices and who somebody is."""

from __future__ import annotations

import binascii
import secrets
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from flightline.tapis_simulator.accounts import DEVICE_TTL_S, Client, Device
from flightline.tapis_simulator.answers import RefusedError, flask, plain
from flightline.tapis_simulator.asking import TAPIS, fields, integer, principal
from flightline.tapis_simulator.tapis import Tapis
from flightline.tapis_simulator.tokens import Grant, InvalidTokenError

_USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_GRANTS = ("password", "authorization_code", "refresh_token", "device_code", "implicit")

Fields = Mapping[str, Any]


async def create_token(request: web.Request) -> web.Response:
    """Answer ``POST /v3/oauth2/tokens``, with 200 as the real service does, whatever is specified."""
    tapis, body = request.app[TAPIS], await fields(request)
    client = _basic_client(request, tapis)
    match body.get("grant_type"):
        case "password":
            grant = _by_password(tapis, body, client)
        case "authorization_code":
            grant = _by_code(tapis, body, client)
        case "refresh_token":
            grant = _by_refresh_token(tapis, body, client)
        case "device_code":
            grant = _by_device(tapis, body)
        case None:
            raise RefusedError(400, "Required grant_type parameter missing from the request.")
        case other:
            raise RefusedError(400, f"Invalid grant_type: {other}.")
    return flask(tapis.issuer.issue(grant), "Token created successfully.")


async def revoke_token(request: web.Request) -> web.Response:
    """Answer ``POST /v3/oauth2/tokens/revoke``."""
    token = _needed(await fields(request), "token")
    try:
        request.app[TAPIS].issuer.revoke(token)
    except InvalidTokenError as error:
        raise RefusedError(400, f"Invalid token: {error}") from error
    return flask("", "Token has been revoked.")


async def get_userinfo(request: web.Request) -> web.Response:
    """Answer ``GET /v3/oauth2/userinfo``."""
    username = principal(request)
    profile = {"username": username, "name": username.title(), "email": f"{username}@tapis.example"}
    return flask(profile, "User profile retrieved successfully.")


async def generate_device_code(request: web.Request) -> web.Response:
    """Answer ``POST /v3/oauth2/device/code``."""
    tapis, body = request.app[TAPIS], await fields(request)
    client = _known_client(tapis, _needed(body, "client_id"))
    user_code = "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(8))
    result = {
        "client_id": client.client_id,
        "device_code": tapis.accounts.devices.keep(Device(client.client_id, user_code)),
        "user_code": user_code,
        "expires_in": f"{DEVICE_TTL_S:g}",
        "verification_uri": f"{tapis.base_url}/v3/oauth2/device?client_id={client.client_id}",
    }
    return flask(result, "Device code generated successfully.")


async def list_clients(request: web.Request) -> web.Response:
    """Answer ``GET /v3/oauth2/clients``."""
    tapis, user = request.app[TAPIS], principal(request)
    offset, limit = integer(request, "offset", 0, least=0), integer(request, "limit", 100, least=1)
    own = [
        client.document(tapis.tenant) for client in tapis.accounts.clients.values() if client.owner == user
    ]
    return flask(own[offset : offset + limit], "Clients retrieved successfully.")


async def create_client(request: web.Request) -> web.Response:
    """Answer ``POST /v3/oauth2/clients``."""
    tapis, user, body = request.app[TAPIS], principal(request), await fields(request)
    names = ("client_id", "client_key", "callback_url", "display_name", "description")
    client = tapis.accounts.add_client(user, **{name: str(body[name]) for name in names if name in body})
    return flask(client.document(tapis.tenant), "Client created successfully.", status=201)


async def get_client(request: web.Request) -> web.Response:
    """Answer ``GET /v3/oauth2/clients/{client_id}``."""
    client = _own_client(request)
    return flask(client.document(request.app[TAPIS].tenant), "Client object retrieved successfully")


async def update_client(request: web.Request) -> web.Response:
    """Answer ``PUT /v3/oauth2/clients/{client_id}``."""
    client, body = _own_client(request), await fields(request)
    client.callback_url = str(body.get("callback_url", client.callback_url))
    client.display_name = str(body.get("display_name", client.display_name))
    return flask(client.document(request.app[TAPIS].tenant), "Client updated successfully.")


async def delete_client(request: web.Request) -> web.Response:
    """Answer ``DELETE /v3/oauth2/clients/{client_id}``."""
    client = _own_client(request)
    del request.app[TAPIS].accounts.clients[client.client_id]
    return flask(None, f"Client {client.client_id} successfully deleted.")


async def get_server_metadata(request: web.Request) -> web.Response:
    """Answer ``GET .../.well-known/oauth-authorization-server``, whose token endpoint is a slip of Tapis."""
    base = f"{request.app[TAPIS].base_url}/v3/oauth2"
    metadata = {
        "issuer": request.app[TAPIS].issuer.issuer,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "jwks_uri": f"{request.app[TAPIS].base_url}/v3/tenants/{request.app[TAPIS].tenant}",
        "registration_endpoint": f"{base}/clients",
        "grant_types_supported": list(_GRANTS),
    }
    if request.path.startswith("/.well-known"):
        return plain(metadata)
    return flask(metadata, "OAuth server metadata retrieved successfully.")


def _basic_client(request: web.Request, tapis: Tapis) -> Client | None:
    """Return the client that the ``Authorization`` header names, if there is one."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, separator, key = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        separator = ""
    if not separator:
        raise RefusedError(400, "Unable to parse the Authorization header.")
    return tapis.accounts.check_client(client_id, key)


def _by_password(tapis: Tapis, body: Fields, client: Client | None) -> Grant:
    username = _needed(body, "username")
    tapis.accounts.check_password(username, _needed(body, "password"))
    return Grant(username, "password", client.client_id if client else None)


def _by_code(tapis: Tapis, body: Fields, client: Client | None) -> Grant:
    if client is None:  # the newer specification allows the client in the body of this grant
        client = tapis.accounts.check_client(_needed(body, "client_id"), _needed(body, "client_key"))
    code = tapis.accounts.codes.take(_needed(body, "code"))
    if code is None or code.client_id != client.client_id:
        raise RefusedError(400, "Invalid authorization code.")
    if code.redirect_uri != _needed(body, "redirect_uri"):
        raise RefusedError(400, "Invalid redirect_uri: it is not the one that the code was sent to.")
    return Grant(code.username, "authorization_code", client.client_id, code.redirect_uri)


def _by_refresh_token(tapis: Tapis, body: Fields, client: Client | None) -> Grant:
    if client is None:
        raise RefusedError(400, "Invalid request: the refresh_token grant needs the client's credentials.")
    try:
        grant = tapis.issuer.grant_of(_needed(body, "refresh_token"))
    except InvalidTokenError as error:
        raise RefusedError(400, f"Invalid refresh_token: {error}") from error
    if grant.client_id != client.client_id:
        raise RefusedError(400, "Invalid refresh_token: it was issued to another client.")
    return grant


def _by_device(tapis: Tapis, body: Fields) -> Grant:
    client = _known_client(tapis, _needed(body, "client_id"))
    name = _needed(body, "device_code")
    device = tapis.accounts.devices.get(name)
    if device is None or device.client_id != client.client_id:
        raise RefusedError(400, "Invalid device code.")
    if device.username is None:
        raise RefusedError(400, "authorization_pending: the user has not entered the code yet.")
    tapis.accounts.devices.take(name)
    return Grant(device.username, "device_code", client.client_id)


def _known_client(tapis: Tapis, client_id: str) -> Client:
    client = tapis.accounts.clients.get(client_id)
    if client is None:
        raise RefusedError(400, f"Invalid client: {client_id}.")
    return client


def _own_client(request: web.Request) -> Client:
    user = principal(request)
    client = request.app[TAPIS].accounts.clients.get(request.match_info["client_id"])
    if client is None or client.owner != user:
        raise RefusedError(400, "Client not found, or not yours.")
    return client


def _needed(body: Fields, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise RefusedError(400, f"Required {name} parameter missing from the request.")
    return value
