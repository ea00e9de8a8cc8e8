"""All services in one process, on one set of backends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import discovery.config
import discovery.resources
import ingest.config
import ingest.resources
import odm_gateway.config
import odm_gateway.resources
from flightline.session import PATIENCE
from shared.errors import InvalidInputError
from shared.messaging.port import Subscription
from shared.platform import Platform, open_platform
from shared.service.running import Resources, State, running
from shared.settings import PlatformSettings, ServiceSettings, load


@dataclass(frozen=True, slots=True)
class Part:
    """One service as this process runs it."""

    settings: type[ServiceSettings]
    resources: Callable[[Any, Platform], Resources]
    subscriptions: tuple[Subscription, ...]


PARTS: Mapping[str, Part] = {
    "odm-gateway": Part(
        odm_gateway.config.Settings, odm_gateway.resources.resources, odm_gateway.resources.SUBSCRIPTIONS
    ),
    "ingest": Part(ingest.config.Settings, ingest.resources.resources, ingest.resources.SUBSCRIPTIONS),
    "discovery": Part(
        discovery.config.Settings, discovery.resources.resources, discovery.resources.SUBSCRIPTIONS
    ),
}
"""Those that hear of events before those that tell of them."""

ONLY_WHAT_IS_NAMED: Mapping[str, Mapping[str, Any]] = {
    "discovery": {"roots": (), "tapis_scan_every": timedelta()}
}
"""For commands: discovery looks for nothing by itself."""

SUBSCRIPTIONS = tuple(subscription for part in PARTS.values() for subscription in part.subscriptions)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Running services: what their routes would see, by service."""

    platform: Platform
    states: Mapping[str, State]


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
        states: dict[str, State] = {}
        for name, part in services.items():
            own = load(part.settings).model_copy(update=dict(overrides.get(name, {})))
            _, states[name] = await stack.enter_async_context(
                running(name, part.resources(own, platform), own)
            )
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
