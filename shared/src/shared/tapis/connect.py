"""The Tapis client as the platform's settings describe it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from shared.errors import InvalidInputError
from shared.settings import PlatformSettings
from shared.tapis.api import TapisApi
from shared.tapis.client import TapisClient, open_tapis
from shared.tapis.grants import OAuthClient
from shared.tapis.internal import internal_token
from shared.tapis.tokens import ByOwner, ServiceAccount, TapisTokens, from_discovery

AUTHORIZE_PATH = "/api/oauth2/tapis/authorize"


async def connect(
    settings: PlatformSettings, stack: AsyncExitStack, users: TapisTokens | None = None
) -> TapisClient:
    """Open a client for as long as ``stack``.

    Args:
        settings: The platform's.
        stack: Closes it.
        users: Tokens of users; None: discovery is asked for them.

    Raises:
        InvalidInputError: No tenant is known.
    """
    if settings.tapis_url is None or settings.tapis_tenant is None:
        raise InvalidInputError(
            "no Tapis tenant is known: set FLIGHTLINE_TAPIS_URL and FLIGHTLINE_TAPIS_TENANT", field="source"
        )
    if users is None:
        secret = await asyncio.to_thread(internal_token, settings)
        users = await stack.enter_async_context(from_discovery(settings.discovery_url, secret))
    of_users = users
    return await stack.enter_async_context(
        open_tapis(
            settings.tapis_url,
            settings.tapis_tenant,
            lambda api: ByOwner(service_account(settings, api), of_users),
            login_url=f"{settings.discovery_url}{AUTHORIZE_PATH}/{settings.tapis_client_id or ''}",
        )
    )


def oauth_client(settings: PlatformSettings) -> OAuthClient | None:
    """Return the application as Tapis knows it."""
    if settings.tapis_client_id is None or settings.tapis_client_key is None:
        return None
    return OAuthClient(settings.tapis_client_id, settings.tapis_client_key)


def service_account(settings: PlatformSettings, api: TapisApi) -> ServiceAccount | None:
    """Return the service account."""
    if settings.tapis_username is None or settings.tapis_password is None:
        return None
    return ServiceAccount(api, settings.tapis_username, settings.tapis_password, oauth_client(settings))
