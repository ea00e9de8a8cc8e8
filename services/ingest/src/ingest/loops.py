"""What ingest does by itself: work on transfers that are due, under a lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from structlog.contextvars import bound_contextvars

from ingest.copying import Copier, FlightChangedError
from ingest.domain.transfers import UNDER_WAY, Staged, Transfer, TransferState, begun
from ingest.metrics import TRANSFERS
from ingest.sweeping import forget_halves, sweep
from ingest.tally import Tally
from ingest.telling import failed, finished, postponed, swept, waiting_for_login
from shared.errors import PermanentError, TransientError
from shared.messaging.bus import Bus
from shared.messaging.progress import Progress
from shared.sources.port import LoginNeededError
from shared.state import Between, Change, Collection, Document, LeaseLostError, OneOf, Order, Where
from shared.state.work import WorkQueue

_WORKED_ON = OneOf(
    (TransferState.COPYING.value, TransferState.NEEDS_LOGIN.value, TransferState.CANCELED.value)
)
NOTED_EVERY_S = 1.0
"""How often a transfer is written how far it is, and seen whether it still is to go on."""

Outcome = Callable[[Transfer], Change[Transfer]]

log = structlog.get_logger()


class _StoppedError(Exception):
    """Somebody paused or canceled the transfer."""


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
    login_checked_every: timedelta
    _queue: WorkQueue[Transfer] = field(init=False)

    def __post_init__(self) -> None:
        """Say which transfers wait: those whose time has come, longest due first."""
        self._queue = WorkQueue(
            self.transfers,
            waiting=_due,
            order=Order("due_s"),
            owner=self.owner,
            lease=self.lease,
            at_once=self.at_once,
            left_behind={"state": OneOf(tuple(state.value for state in TransferState))},
            asked_in=lambda transfer: [ask.traceparent for ask in transfer.asks],
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
                outcome = await self._outcome(document)
            except asyncio.CancelledError:  # told to stop: another process shall not wait for the lease
                with suppress(LeaseLostError, TransientError):
                    await asyncio.shield(self.transfers.release(document.id, owner=self.owner))
                raise
            await self.transfers.update(document.id, outcome, owner=self.owner)

    async def _outcome(self, document: Document[Transfer]) -> Outcome:
        transfer = document.body
        if transfer.state is TransferState.CANCELED:
            await sweep(transfer, self.copier.objects, self.copier.lines)
            return swept
        return await self._outcome_of_copying(document)

    async def _outcome_of_copying(self, document: Document[Transfer]) -> Outcome:
        transfer, tally = document.body, Tally()
        try:
            staged = await self._copied(document, tally)
        except _StoppedError:
            TRANSFERS.labels("stopped").inc()
            log.info("transfer.stopped")
            return partial(Change, release=True)
        except LoginNeededError as error:
            TRANSFERS.labels("needs_login").inc()
            log.warning("transfer.needs_login", error=str(error))
            return partial(waiting_for_login, error=str(error), every=self.login_checked_every)
        except PermanentError as error:
            TRANSFERS.labels("failed").inc()
            if isinstance(error, FlightChangedError):
                await forget_halves(transfer, self.copier.objects, self.copier.lines)
            return partial(failed, error=str(error))
        except TransientError as error:
            return await self._interrupted(transfer, tally, error)
        except Exception as error:  # a bug must not keep the other transfers waiting
            TRANSFERS.labels("failed").inc()
            log.exception("transfer.broken")
            return partial(failed, error=f"internal error, please report it: {type(error).__name__}: {error}")
        TRANSFERS.labels("staged").inc()
        log.info("transfer.staged", images=staged.image_count, rejected=staged.rejected_count)
        return partial(finished, staged=staged, amounts=tally.amounts)

    async def _interrupted(self, transfer: Transfer, tally: Tally, error: TransientError) -> Outcome:
        TRANSFERS.labels("interrupted").inc()
        log.warning("transfer.interrupted", error=str(error), attempt=transfer.attempt + 1)
        await self._tell(transfer, tally, f"interrupted: {error}")
        return partial(postponed, error=str(error), ladder=self.retry_after, at_least=error.retry_after)

    async def _copied(self, document: Document[Transfer], tally: Tally) -> Staged:
        """Copy until it is done, or somebody says that it is not to go on."""
        transfer = document.body
        is_last = transfer.attempt >= len(self.retry_after)
        counted = partial(self._tell, transfer, tally)
        async with _task(self.copier.copy(transfer, tally, counted, is_last=is_last)) as copying:
            while not (await asyncio.wait([copying], timeout=NOTED_EVERY_S))[0]:
                await self._note(document, tally)
            return copying.result()

    async def _note(self, document: Document[Transfer], tally: Tally) -> None:
        now = datetime.now(UTC)

        def noted(transfer: Transfer) -> Transfer | None:
            return begun(transfer, tally.amounts, now) if tally.has_begun else None

        current = await self.transfers.update(document.id, noted, owner=self.owner)
        if current.body.state not in UNDER_WAY:
            raise _StoppedError
        if tally.has_begun:
            await self._tell(current.body, tally)

    async def _tell(self, transfer: Transfer, tally: Tally, message: str | None = None) -> None:
        amounts = tally.amounts
        progress = Progress(
            flight_id=transfer.flight.flight_id,
            stage="staging",
            done=amounts.files_done,
            total=amounts.files_total if tally.has_begun else 1,
            bytes=amounts.bytes_done,
            message=message,
        )
        await self.bus.progress(progress)


@asynccontextmanager
async def _task(copying: object) -> AsyncIterator[asyncio.Task[Staged]]:
    """Run a coroutine as a task, which is over when the block is left."""
    task = asyncio.ensure_future(copying)  # type: ignore[call-overload]
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _due() -> Sequence[Where]:
    """Return which transfers are to be worked on now."""
    return [{"state": _WORKED_ON, "due_s": Between(high=time.time())}]
