"""All services in one process, on one set of backends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from fastapi import FastAPI

import discovery.config
import discovery.main
import ingest.config
import ingest.main
import odm_gateway.config
import odm_gateway.main
from flightline.session import PATIENCE
from shared.errors import InvalidInputError
from shared.messaging.port import Subscription
from shared.platform import Platform, open_platform
from shared.settings import PlatformSettings, ServiceSettings, load


@dataclass(frozen=True, slots=True)
class Part:
    """One service as this process runs it."""

    settings: type[ServiceSettings]
    create_app: Callable[[Any, Platform], FastAPI]
    subscriptions: tuple[Subscription, ...]


PARTS: Mapping[str, Part] = {
    "odm-gateway": Part(
        odm_gateway.config.Settings, odm_gateway.main.create_app, odm_gateway.main.SUBSCRIPTIONS
    ),
    "ingest": Part(ingest.config.Settings, ingest.main.create_app, ingest.main.SUBSCRIPTIONS),
    "discovery": Part(discovery.config.Settings, discovery.main.create_app, discovery.main.SUBSCRIPTIONS),
}
"""Those that hear of events before those that tell of them."""

_Lifespan = AbstractAsyncContextManager[Mapping[str, Any]]

SUBSCRIPTIONS = tuple(subscription for part in PARTS.values() for subscription in part.subscriptions)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Running services: what their routes would see, by service."""

    platform: Platform
    states: Mapping[str, Mapping[str, Any]]


@asynccontextmanager
async def running_pipeline(
    settings: PlatformSettings,
    overrides: Mapping[str, Mapping[str, Any]],
    services: Mapping[str, Part] = PARTS,
) -> AsyncIterator[Pipeline]:
    """Run ``services`` without HTTP; ``overrides`` sets fields of a service's settings by its name."""
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(
            open_platform(settings, SUBSCRIPTIONS, start_within=PATIENCE)
        )
        states: dict[str, Mapping[str, Any]] = {}
        for name, part in services.items():
            own = load(part.settings).model_copy(update=dict(overrides.get(name, {})))
            app = part.create_app(own, platform)
            lifespan = cast(
                "AbstractAsyncContextManager[Mapping[str, Any]]", app.router.lifespan_context(app)
            )
            states[name] = await stack.enter_async_context(lifespan)
        yield Pipeline(platform, states)


def parts(only: list[str]) -> dict[str, Part]:
    """Return the services named, or all.

    Raises:
        InvalidInputError: There is no such service.
    """
    for name in only:
        if name not in PARTS:
            raise InvalidInputError(
                f"there is no service {name}: {', '.join(PARTS)}", field="only", value=name
            )
    return {name: part for name, part in PARTS.items() if not only or name in only}
