"""Runs, one at a time however many processes there are: each under the lease of the one schedule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from mover.collections import MOVES, SCHEDULE
from mover.config import Settings
from mover.connection import Connection
from mover.domain.deciding import Rules
from mover.domain.moves import Move, MoveState
from mover.domain.reports import Plan, Report
from mover.domain.schedule import Schedule, failed, ran
from mover.journal import Journal
from mover.listing import NoNextcloudError, plan
from mover.sorting import Sorter
from mover.tally import Tally
from mover.wanted import Wanted, read_wanted
from shared.constants import Constants, open_constants
from shared.dav import RefusedError
from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.settings import PlatformSettings
from shared.state import Change, Collection, Document, LeaseLostError, Order
from shared.state.lease import hold
from shared.state.owner import process_owner, release_gone
from shared.state.port import Store

SCHEDULE_ID = "sorting"
TAKEN_S = 0.5
"""How long to wait while another process has the schedule."""
LEFT_TOLD_AT_MOST = 100

NOT_CONFIGURED = (
    "nothing says what to sort: set MOVER_IMAGES_ROOT_DIR, MOVER_UNSORTED_REMOTE_DIR and FLIGHTLINE_WEBDAV_…,"
    " or FLIGHTLINE_CONSTANTS"
)

Told = Callable[[Move], None]
"""Called with each line of the journal that a run is done with."""

log = structlog.get_logger()


def _nobody(_: Move) -> None:
    pass


@dataclass(slots=True)
class Runs:
    """Runs of the mover."""

    settings: Settings
    platform: PlatformSettings
    constants: Constants
    schedule: Collection[Schedule]
    moves: Collection[Move]
    connection: Connection
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """When set, a run ends with the moves that it has in hand."""
    owner: str = field(default_factory=process_owner)
    _found: tuple[Wanted, Rules] | None = None
    """The rules with the folder that the last run found."""

    async def wanted(self) -> Wanted | None:
        """Return what is to be sorted; None: nothing is configured.

        Raises:
            InvalidInputError: What is configured cannot be used.
            TransientError: The constants cannot be read yet.
        """
        return await read_wanted(self.settings, self.platform, self.constants)

    async def plan(self) -> Plan:
        """Return what a run would do, and do nothing.

        Raises:
            InvalidInputError: Nothing is configured, or it cannot be used.
        """
        wanted = await self._something()
        return await plan(await self.connection.to(wanted.place), wanted.rules)

    async def now(self, told: Told = _nobody) -> Report:
        """Run as soon as no other process does, whenever the next run is due.

        Raises:
            InvalidInputError: Nothing is configured, or it cannot be used.
            PermanentError: Somebody must change something first.
            TransientError: The server cannot be worked with.
        """
        wanted = await self._something()
        await self.take_over()
        document = await self._claimed()
        while document is None:
            await asyncio.sleep(TAKEN_S)
            document = await self._claimed()
        return await self._run(document, wanted, told)

    async def if_due(self, wanted: Wanted, every: timedelta, *, at_once: bool = False) -> bool:
        """Run if it is time, or at once; False: another process is sorting now.

        Args:
            wanted: What.
            every: How long after the last run it is time; after failures it takes longer.
            at_once: Whatever went wrong before.

        Raises:
            PermanentError: Somebody must change something first.
            TransientError: The server cannot be worked with.
        """
        before = await self.schedule.get(SCHEDULE_ID)
        if not at_once and before and not before.body.is_due(datetime.now(UTC), every):
            return True
        document = await self._claimed()
        if document is None:
            return False
        if not at_once and not document.body.is_due(datetime.now(UTC), every):  # another was faster
            await self.schedule.release(SCHEDULE_ID, owner=self.owner)
            return True
        await self._run(document, wanted, _nobody)
        return True

    async def left(self) -> list[Move]:
        """Return the first files that stay though they have a tag of ours, by name."""
        page = await self.moves.find(
            {"state": MoveState.LEFT.value}, order=Order("name"), limit=LEFT_TOLD_AT_MOST
        )
        return [document.body for document in page.items]

    async def due_in_s(self) -> float:
        """Return in how many seconds the next run is due, by all that happened so far."""
        document = await self.schedule.get(SCHEDULE_ID)
        return document.body.due_in_s(datetime.now(UTC), self.settings.frequency) if document else 0.0

    async def take_over(self) -> None:
        """Take from dead processes of this host what they held."""
        await release_gone(self.schedule, {"id": SCHEDULE_ID})

    async def _something(self) -> Wanted:
        wanted = await self.wanted()
        if wanted is None:
            raise InvalidInputError(NOT_CONFIGURED)
        return wanted

    async def _claimed(self) -> Document[Schedule] | None:
        await self.schedule.ensure(SCHEDULE_ID, Schedule())
        return await self.schedule.claim({"id": SCHEDULE_ID}, owner=self.owner, hold=self.settings.lease)

    async def _run(
        self, document: Document[Schedule], wanted: Wanted, told: Callable[[Move], None]
    ) -> Report:
        """Run under the lease, and write down what it came to."""
        tally = Tally(told)
        try:
            async with hold(self.schedule, SCHEDULE_ID, owner=self.owner, hold=self.settings.lease):
                times = await self._sorted(document.body, wanted, tally)
                report = tally.report()
                await self._end(lambda before: ran(before, report, **times))
        except LeaseLostError as lost:  # others may sort now; what we did was conditional all the same
            raise TransientError(f"another process took over: {lost}") from lost
        except (PermanentError, TransientError) as raised:
            error = raised
            with suppress(LeaseLostError):
                await self._end(lambda before: self._failed(before, tally, error))
            raise
        except BaseException:  # told to stop, or a bug: nobody shall wait for the lease
            with suppress(LeaseLostError, TransientError):
                await asyncio.shield(self.schedule.release(SCHEDULE_ID, owner=self.owner))
            raise
        return report

    async def _sorted(self, schedule: Schedule, wanted: Wanted, tally: Tally) -> dict[str, float]:
        """Sort, and return the moments of what is not done by every run."""
        own, now = self.settings, datetime.now(UTC)
        journal = Journal(self.moves, wanted.name, own.journal_kept)
        dav = await self.connection.to(wanted.place)
        rules = self._found[1] if self._found and self._found[0] == wanted else wanted.rules
        self._found = None
        sorter = Sorter(dav, journal, rules, own.duplicates, own.moves_at_once, self.stop)
        with_repair = schedule.is_repair_due(now, own.repair_every)
        await sorter.sort(tally, with_repair=with_repair)
        self._found = wanted, sorter.rules
        times = {"repaired_at_s": now.timestamp()} if with_repair else {}
        if schedule.is_tidying_due(now):
            await self.moves.store.purge_expired(MOVES.name, now)
            times["tidied_at_s"] = now.timestamp()
        return times

    async def _end(self, change: Callable[[Schedule], Schedule]) -> None:
        await self.schedule.update(
            SCHEDULE_ID, lambda before: Change(change(before), release=True), owner=self.owner
        )

    def _failed(self, before: Schedule, tally: Tally, error: PermanentError | TransientError) -> Schedule:
        if before.trouble != str(error):  # once, not every half minute
            log.warning("sorting.failed", error=str(error))
        is_login = isinstance(error, RefusedError) and error.is_login
        return failed(
            before,
            tally.report(),
            str(error),
            now=datetime.now(UTC),
            every=self.settings.frequency,
            at_least=error.retry_after if isinstance(error, TransientError) else None,
            is_hopeless=is_login or isinstance(error, NoNextcloudError),
        )


@asynccontextmanager
async def open_runs(settings: Settings, platform: PlatformSettings, store: Store) -> AsyncIterator[Runs]:
    """Open what runs need, with the collections declared; nothing is asked of the server yet."""
    await store.declare(MOVES, SCHEDULE)
    async with open_constants(platform) as constants:
        connection = Connection(settings.moves_at_once)
        try:
            yield Runs(
                settings,
                platform,
                constants,
                Collection(store, SCHEDULE, Schedule),
                Collection(store, MOVES, Move),
                connection,
            )
        finally:
            await connection.close()
