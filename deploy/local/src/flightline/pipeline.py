"""All services in one process, on one set of backends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
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
from datalab.execution.events import CALLS
from flightline.session import PATIENCE
from shared.errors import InvalidInputError
from shared.events import ImageScaled, ImagesStaged, TaskCompleted
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


def _scaler() -> Part:
    import scaler.config  # noqa: PLC0415 - most commands do without it, and begin sooner
    import scaler.resources  # noqa: PLC0415

    return Part(scaler.config.Settings, scaler.resources.resources, scaler.resources.SUBSCRIPTIONS)


def _mover() -> Part:
    import mover.config  # noqa: PLC0415 - as above
    import mover.resources  # noqa: PLC0415

    return Part(mover.config.Settings, mover.resources.resources, mover.resources.SUBSCRIPTIONS)


def _datalab() -> Part:
    import datalab.config  # noqa: PLC0415 - as above
    import datalab.resources  # noqa: PLC0415

    return Part(datalab.config.Settings, datalab.resources.resources, datalab.resources.SUBSCRIPTIONS)


PARTS: Mapping[str, Part] = {
    "odm-gateway": Part(
        odm_gateway.config.Settings, odm_gateway.resources.resources, odm_gateway.resources.SUBSCRIPTIONS
    ),
    "ingest": Part(ingest.config.Settings, ingest.resources.resources, ingest.resources.SUBSCRIPTIONS),
    "discovery": Part(
        discovery.config.Settings, discovery.resources.resources, discovery.resources.SUBSCRIPTIONS
    ),
}
"""What every flight needs; those that hear of events before those that tell of them."""

SCALING: Mapping[str, Callable[[], Part]] = {"mover": _mover, "scaler": _scaler}
"""What only flights need whose images are to be scaled, and folders on WebDAV servers."""

SESSIONS: Mapping[str, Callable[[], Part]] = {"datalab": _datalab}
"""What no flight needs."""

ONLY_WHAT_IS_NAMED: Mapping[str, Mapping[str, Any]] = {
    "discovery": {"roots": (), "tapis_scan_every": timedelta()},
    "scaler": {"webdav": False},
    "mover": {"images_root_dir": None, "unsorted_remote_dir": None, "parent_tag_value": None},
}
"""For commands: nobody looks for anything by itself, as long as there are no constants either."""

SUBSCRIPTIONS = (
    Subscription("mover", ImageScaled.type),
    Subscription("scaler", ImagesStaged.type),
    Subscription("datalab", TaskCompleted.type),
    CALLS,
    *(subscription for part in PARTS.values() for subscription in part.subscriptions),
)
"""Those of all services, whether they run or not: what concerns them waits for them."""


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


def parts(only: Sequence[str] = ()) -> dict[str, Part]:
    """Return the services named, or all.

    Raises:
        InvalidInputError: There is no such service.
    """
    beside = {**SCALING, **SESSIONS}
    names = (*beside, *PARTS)
    for name in only:
        if name not in names:
            raise InvalidInputError(
                f"there is no service {name}: {', '.join(names)}", field="only", value=name
            )
    return {
        name: PARTS[name] if name in PARTS else beside[name]() for name in names if not only or name in only
    }
