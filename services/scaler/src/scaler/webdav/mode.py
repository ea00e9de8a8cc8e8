"""WebDAV mode: follows the plan as it changes, may be paused, and ends in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict

from scaler.config import Settings
from scaler.domain.raw_images import RawImage
from scaler.ports import ScalesImages
from scaler.webdav.plan import Plan, Plans
from scaler.webdav.scaling import Memory, Scaling
from scaler.webdav.session import Session
from shared.dav import open_dav
from shared.errors import PermanentError, TransientError
from shared.state import Collection

SWITCH = "webdav"

log = structlog.get_logger(__name__)


class Switch(BaseModel):
    """Whether somebody paused the mode, in all processes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    is_paused: bool = False
    changed_at: AwareDatetime


@dataclass(slots=True)
class WebdavMode:
    """Looks for images every so often, and scales them."""

    settings: Settings
    plans: Plans
    codecs: ScalesImages
    images: Collection[RawImage]
    switches: Collection[Switch]
    owner: str
    plan: Plan | None = None
    trouble: str | None = None
    """Why there is no plan though one is wanted."""
    session: Session | None = None
    is_paused: bool = False
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no more images shall be begun."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        """Set aside memory for content: one share, whatever the plans are."""
        self._memory = Memory.of(self.settings.webdav_bytes_in_flight)

    async def run(self) -> None:
        """Follow the plan, for ever; return at once if there is none and cannot be any."""
        while True:
            await self._read_plan()
            if self.plan is not None:
                await self._follow(self.plan)
            elif self.plans.may_change or self.trouble:
                await self._pause()
            else:
                log.debug("webdav.off")
                return

    async def stop(self) -> None:
        """Begin no more images, and return when those in hand are finished."""
        self.ending.set()
        while self.session is not None and self.session.in_hand:  # noqa: ASYNC110 - the service limits it
            await asyncio.sleep(_LOOK_EVERY_S)

    async def switch(self, *, is_paused: bool) -> None:
        """Pause or resume in all processes; here at once, elsewhere at the next look."""
        wanted = Switch(is_paused=is_paused, changed_at=datetime.now(UTC))
        _, is_new = await self.switches.ensure(SWITCH, wanted)
        if not is_new:
            await self.switches.update(
                SWITCH, lambda switch: None if switch.is_paused is is_paused else wanted
            )
        self.is_paused = is_paused
        self.wake()

    def wake(self) -> None:
        """Look at the folder now."""
        self._woken.set()

    @asynccontextmanager
    async def opened(self, plan: Plan) -> AsyncIterator[Session]:
        """Open the server of a plan."""
        async with open_dav(plan.place, connections=self.settings.transfers_at_once + 2) as dav:
            scaling = Scaling(
                dav, plan, self.codecs, self.settings.asks, self._memory, self.settings.image_bytes_at_most
            )
            yield Session(
                dav=dav,
                scaling=scaling,
                images=self.images,
                owner=self.owner,
                lease=self.settings.lease,
                at_once=self.settings.transfers_at_once,
                at_rest=self.settings.at_rest,
                may_begin=lambda: not (self.is_paused or self.ending.is_set()),
            )

    async def _follow(self, plan: Plan) -> None:
        """Work on a plan until there is another one."""
        log.info("webdav.on", url=plan.raw_url, target=plan.unsorted, prefixes=plan.prefixes)
        async with self.opened(plan) as session, asyncio.TaskGroup() as group:
            self.session = session
            working = group.create_task(session.run(), name="webdav images")
            try:
                while self.plan == plan:
                    await self._look(session)
                    await self._pause()
                    await self._read_plan()
            finally:
                self.session = None
                working.cancel()

    async def _look(self, session: Session) -> None:
        try:
            await self._read_switch()
            if session.may_begin():
                await session.poll()
        except TransientError as error:
            log.warning("state.unavailable", error=str(error))

    async def _read_switch(self) -> None:
        switch = await self.switches.get(SWITCH)
        self.is_paused = switch is not None and switch.body.is_paused

    async def _read_plan(self) -> None:
        """Read the plan anew; one that cannot be read now stays what it was."""
        trouble: str | None = None
        try:
            self.plan = await self.plans.current()
        except PermanentError as error:
            self.plan, trouble = None, str(error)
        except TransientError as error:
            trouble = str(error)
        if trouble and trouble != self.trouble:
            log.warning("webdav.not_configured", error=trouble)
        self.trouble = trouble

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.frequency.total_seconds()):
                await self._woken.wait()
        self._woken.clear()


_LOOK_EVERY_S = 0.05
