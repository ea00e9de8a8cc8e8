"""Opens what discovery has of Tapis, as far as a tenant is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from discovery.collections import COUNTERS, FLIGHTS, LOGINS, OAUTH_STATES, PLANS, PROJECTS, SESSIONS
from discovery.config import Settings
from discovery.domain.flights import Flight
from discovery.domain.logins import Login, OAuthState, Session
from discovery.domain.preferences import Plan
from discovery.domain.projects import Counter, Project
from discovery.doorkeeper import Doorkeeper
from discovery.finder import Finder
from discovery.plans import Discoverer, Plans
from discovery.projects import Projects
from discovery.tapis_access import TapisAccess, authorize_url, trusted_origins
from discovery.tapis_flights import TapisFlights
from shared.errors import InvalidInputError
from shared.platform import Platform
from shared.service import Service
from shared.settings import PlatformSettings
from shared.sources import open_sources
from shared.state import Collection
from shared.tapis.internal import internal_token

if TYPE_CHECKING:
    from discovery.adapters.tapis_logins import Logins


def public_url(settings: Settings, on: PlatformSettings) -> str:
    """Return where browsers reach discovery."""
    return settings.public_url or on.discovery_url


@asynccontextmanager
async def opened_logins(settings: Settings, on: Platform) -> AsyncIterator[Logins | None]:
    """Open the users' logins; None: no tenant is known."""
    await on.store.declare(LOGINS, OAUTH_STATES, SESSIONS, PLANS)
    url, tenant = on.settings.tapis_url, on.settings.tapis_tenant
    if url is None or tenant is None:
        yield None
        return
    from discovery.adapters.sealing import Sealer, secrets_key  # noqa: PLC0415 - heavy, and an extra
    from discovery.adapters.tapis_logins import Logins  # noqa: PLC0415
    from shared.tapis.api import TapisApi  # noqa: PLC0415
    from shared.tapis.connect import oauth_client  # noqa: PLC0415

    sealer = Sealer(await asyncio.to_thread(secrets_key, on.settings))
    client = oauth_client(on.settings)
    api = await asyncio.to_thread(TapisApi, url, tenant)
    login_url = authorize_url(public_url(settings, on.settings), client.client_id if client else None)
    try:
        yield Logins(api, client, Collection(on.store, LOGINS, Login), sealer, login_url)
    finally:
        api.close()


async def opened_doorkeeper(settings: Settings, on: Platform, logins: Logins | None) -> Doorkeeper:
    """Return who knows everybody."""
    token = await asyncio.to_thread(internal_token, on.settings) if logins else on.settings.internal_token
    return Doorkeeper(
        logins,
        Collection(on.store, SESSIONS, Session),
        settings.token,
        token,
        settings.public_url,
        settings.allowed_origins,
    )


async def opened_tapis(
    settings: Settings, on: Platform, logins: Logins | None, finder: Finder, projects: Projects
) -> TapisAccess | None:
    """Return what discovery does on Tapis; None: no tenant is known."""
    if logins is None:
        return None
    client = await finder.sources.tapis()
    url = public_url(settings, on.settings)
    return TapisAccess(
        logins,
        TapisFlights(client, finder, projects, on.settings.tapis_systems),
        Collection(on.store, OAUTH_STATES, OAuthState),
        url,
        trusted_origins(url, settings.allowed_origins),
    )


async def opened_plans(
    settings: Settings, on: Platform, service: Service, plans: Plans, tapis: TapisAccess | None
) -> None:
    """Have what owners want done by itself."""
    if tapis is None or not settings.tapis_scan_every:
        return
    discoverer = Discoverer(plans.plans, tapis.flights, settings.tapis_scan_every)
    queue = discoverer.queue()
    plans.wake = queue.wake
    if on.settings.tapis_username is not None:
        await plans.schedule_service_account()
    service.background("discoveries", partial(queue.run, discoverer.discover))


def plans_of(on: Platform) -> Plans:
    """Return what owners want."""
    return Plans(Collection(on.store, PLANS, Plan))


@asynccontextmanager
async def opened_search(settings: Settings, on: Platform) -> AsyncIterator[tuple[TapisAccess, Plans]]:
    """Open what can look for flights and see which have projects, without anything that happens by itself.

    Raises:
        InvalidInputError: No Tapis tenant is known.
    """
    await on.store.declare(FLIGHTS, PROJECTS, COUNTERS)
    async with opened_logins(settings, on) as logins, open_sources(on.settings, logins) as sources:
        flights = Collection(on.store, FLIGHTS, Flight)
        finder = Finder(flights, sources, settings.settle, settings.flight_layout(on.settings.file_rule))
        projects = Projects(
            Collection(on.store, PROJECTS, Project),
            Collection(on.store, COUNTERS, Counter),
            flights,
            "none",
            finder.look,
            wake=lambda: None,
        )
        tapis = await opened_tapis(settings, on, logins, finder, projects)
        if tapis is None:
            raise InvalidInputError(
                "no Tapis tenant is known: set FLIGHTLINE_TAPIS_URL and FLIGHTLINE_TAPIS_TENANT"
            )
        yield tapis, plans_of(on)
