"""What ingest does by itself: work on transfers that are due, under a lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import NAMESPACE_URL, uuid5

import structlog
from structlog.contextvars import bound_contextvars

from ingest.copying import Copier
from ingest.domain.transfers import (
    Staged,
    Transfer,
    TransferState,
    delay_s,
    untold,
)
from ingest.handlers import SERVICE, answer_id, told
from shared.errors import PermanentError, TransientError
from shared.events import Event, FlightFound, TaskCompleted, new_event
from shared.messaging.bus import Bus
from shared.messaging.progress import Progress
from shared.state import Between, Change, Collection, Document, LeaseLostError, Order, Where
from shared.state.work import WorkQueue

_COPYING: Where = {"state": TransferState.COPYING.value}

log = structlog.get_logger()


@dataclass(slots=True)
class TransferLoop:
    """Claims transfers and copies them; any number of processes may run it."""

    transfers: Collection[Transfer]
    copier: Copier
    bus: Bus
    owner: str
    lease: timedelta
    at_once: int
    retry_after: tuple[timedelta, ...]
    """How long to wait after each failure that may pass."""
    _queue: WorkQueue[Transfer] = field(init=False)

    def __post_init__(self) -> None:
        """Say which transfers wait: those to be copied whose time has come, longest due first."""
        self._queue = WorkQueue(
            self.transfers,
            waiting=_due,
            order=Order("due_s"),
            owner=self.owner,
            lease=self.lease,
            at_once=self.at_once,
            left_behind=_COPYING,
        )

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        self._queue.wake()

    async def run(self) -> None:
        """Work on whatever is due, for ever; first on what dead predecessors on this host left."""
        await self._queue.run(self._work)

    async def _work(self, document: Document[Transfer]) -> None:
        flight = document.body.flight
        with bound_contextvars(flight_id=flight.flight_id, version=flight.version):
            try:
                outcome = await self._copied(document.body)
            except asyncio.CancelledError:  # told to stop: another process shall not wait for the lease
                with suppress(LeaseLostError, TransientError):
                    await asyncio.shield(self.transfers.release(document.id, owner=self.owner))
                raise
            await self.transfers.update(document.id, outcome, owner=self.owner)

    async def _copied(self, transfer: Transfer) -> Callable[[Transfer], Change[Transfer]]:
        how_far = Progress(flight_id=transfer.flight.flight_id, stage="staging", done=0, total=1)

        async def counted(done: int, total: int, copied: int) -> None:
            nonlocal how_far
            how_far = how_far.model_copy(update={"done": done, "total": total, "bytes": copied})
            await self.bus.progress(how_far)

        try:
            staged = await self.copier.copy(transfer, counted)
        except PermanentError as error:
            return partial(failed, error=str(error))
        except TransientError as error:
            log.warning("transfer.interrupted", error=str(error), attempt=transfer.attempt + 1)
            await self.bus.progress(how_far.model_copy(update={"message": f"interrupted: {error}"}))
            return partial(postponed, error=str(error), ladder=self.retry_after)
        except Exception as error:  # a bug must not keep the other transfers waiting
            log.exception("transfer.broken")
            return partial(failed, error=f"internal error, please report it: {type(error).__name__}: {error}")
        log.info("transfer.staged", images=staged.image_count, rejected=staged.rejected_count)
        return partial(finished, staged=staged)


def finished(transfer: Transfer, staged: Staged) -> Change[Transfer]:
    """Return the transfer as staged, and what everybody who asked has to hear."""
    now = datetime.now(UTC)
    done = transfer.model_copy(
        update={"state": TransferState.STAGED, "staged": staged, "error": None, "updated_at": now}
    )
    change = told(done, now)
    return Change(change.body, change.events, release=True)


def postponed(transfer: Transfer, error: str, *, ladder: Sequence[timedelta]) -> Change[Transfer]:
    """Return the transfer as due again later, or as failed if it was tried often enough."""
    attempt = transfer.attempt + 1
    wait_s = delay_s(attempt, ladder)
    if wait_s is None:
        return failed(transfer, f"{error} (given up after {attempt} attempts)")
    update = {
        "attempt": attempt,
        "due_s": time.time() + wait_s,
        "error": error,
        "updated_at": datetime.now(UTC),
    }
    return Change(transfer.model_copy(update=update), release=True)


def failed(transfer: Transfer, error: str) -> Change[Transfer]:
    """Return the transfer as failed, and what everybody who asked has to hear."""
    now = datetime.now(UTC)
    asks = untold(transfer)
    update = {
        "state": TransferState.FAILED,
        "error": error,
        "told": (*transfer.told, *(ask.data.rerun for ask in asks)),
        "updated_at": now,
    }
    events = [_failure(ask, error, now) for ask in asks]
    return Change(transfer.model_copy(update=update), events, release=True)


def _failure(ask: Event[FlightFound], error: str, now: datetime) -> Event[TaskCompleted]:
    flight = ask.data
    told = TaskCompleted(
        task_id=str(uuid5(NAMESPACE_URL, f"ingest/{flight.flight_id}/{flight.version}/{flight.rerun}")),
        kind="ingest",
        name=flight.name,
        status="failed",
        error=error,
        finished_at=now,
        flight_id=flight.flight_id,
        version=flight.version,
        rerun=flight.rerun,
    )
    return new_event(SERVICE, told, event_id=answer_id(ask, "failed"), cause=ask)


async def _due() -> Sequence[Where]:
    """Return which transfers are to be copied now."""
    return [{**_COPYING, "due_s": Between(high=time.time())}]
