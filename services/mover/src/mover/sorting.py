"""One run: list once, decide all, move what is clear, and tell what stays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Gauge

from mover.config import Duplicates
from mover.domain.deciding import Go, Rules, Stay, Why
from mover.domain.folders import Folders
from mover.finishing import finish, repair
from mover.journal import Journal
from mover.leaving import Leaving
from mover.listing import Listed, list_categories, list_unsorted
from mover.moving import Mover, StaysError, VanishedError
from mover.tally import Tally
from shared.dav import Dav, DavResource
from shared.dav.errors import LockedError, RefusedError
from shared.errors import PermanentError, TransientError

IN_A_ROW_AT_MOST = 3
"""Failures one behind the other after which a run gives up: it is the server, not the files."""

LEFT = Gauge("flightline_mover_left_files", "Files that stayed in the last run.")

log = structlog.get_logger()


@dataclass(slots=True)
class Sorter:
    """Sorts the files of one server."""

    dav: Dav
    journal: Journal
    rules: Rules
    """Once it has sorted: with the folder that was found."""
    duplicates: Duplicates
    at_once: int
    stop: asyncio.Event
    """When set, the moves in hand are finished and no others begun."""

    async def sort(self, tally: Tally, *, with_repair: bool) -> None:
        """Sort what lies there now; with a repair, find stale tags everywhere, too.

        Raises:
            TransientError: The server cannot be worked with; what was begun is finished by the next run.
            PermanentError: Somebody must change something first.
        """
        listed = await list_unsorted(self.dav, self.rules)
        self.rules = listed.rules
        tally.files = len(listed.folder.files)
        leaving = Leaving(self.journal, await self.journal.left())
        for file, stay in listed.staying:
            leaving.note(file, stay)
        await finish(self._mover(listed, Folders()), listed, tally)
        going = [(file, go) for file, go in listed.going if not leaving.waits(file)]
        if going:
            folders = await list_categories(self.dav, listed.rules.root)
            moving = _Moving(self._mover(listed, folders), leaving, tally, self.stop)
            await moving.move_all(going, self.at_once)
        await leaving.write()
        tally.left = leaving.count
        LEFT.set(tally.left)
        if with_repair:
            await repair(self.dav, self.journal, listed.rules, tally)

    def _mover(self, listed: Listed, folders: Folders) -> Mover:
        return Mover(self.dav, self.journal, listed.rules, folders, self.duplicates)


@dataclass(slots=True)
class _Moving:
    """The moves of one run."""

    mover: Mover
    leaving: Leaving
    tally: Tally
    stop: asyncio.Event
    given_up: Exception | None = None

    async def move_all(self, going: Sequence[tuple[DavResource, Go]], at_once: int) -> None:
        """Move files, some at the same time, until all are done or the server is not to be worked with."""
        waiting = iter(going)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(at_once, len(going))):
                workers.create_task(self._work(waiting), name="move files")
        if self.given_up is not None:
            raise self.given_up

    async def _work(self, waiting: Iterator[tuple[DavResource, Go]]) -> None:
        for file, go in waiting:
            if self.given_up is not None or self.stop.is_set():
                return
            try:
                await self._move(file, go)
            except (PermanentError, TransientError) as error:
                self.given_up = error

    async def _move(self, file: DavResource, go: Go) -> None:
        try:
            self.tally.count(await self.mover.move(file, go))
        except VanishedError as vanished:
            log.info("file.vanished", file=file.path, why=str(vanished))
        except StaysError as stays:
            self.leaving.note(file, stays.stay)
        except TransientError as error:
            self.tally.fail(file.path, error)
            if isinstance(error, LockedError):
                self.tally.failed_in_a_row = 0
            elif self.tally.failed_in_a_row >= IN_A_ROW_AT_MOST:
                raise
        except PermanentError as error:
            if isinstance(error, RefusedError) and error.is_login:
                raise
            self.leaving.note(file, Stay(Why.REFUSED, str(error)))
