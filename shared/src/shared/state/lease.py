"""Keeps a lease alive while work goes on, and stops the work when the lease is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel

from shared.errors import NotFoundError, TransientError
from shared.state.documents import Collection, LeaseLostError

M = TypeVar("M", bound=BaseModel)


@asynccontextmanager
async def hold(
    collection: Collection[M], document_id: str, owner: str, hold: timedelta
) -> AsyncIterator[None]:
    """Renew the lease that ``owner`` has, at once and then at every third of ``hold``, while the body runs.

    A store that cannot be reached is asked again until the lease would have lapsed. Leaving normally keeps
    the lease: releasing it is the last change's business.

    Raises:
        LeaseLostError: Somebody else may work on the document now; the body was cancelled.
    """
    until = asyncio.get_running_loop().time() + hold.total_seconds()
    await collection.renew(document_id, owner=owner, hold=hold)
    body = _Body()
    renewing = asyncio.create_task(
        _renew(collection, document_id, owner, hold, until), name=f"lease of {document_id}"
    )
    renewing.add_done_callback(body.stop)
    try:
        yield
    except asyncio.CancelledError:
        if not body.stopped_by_us_alone():
            raise
    finally:
        body.leave()
        renewing.cancel()
        await asyncio.wait([renewing])
    if not renewing.cancelled():
        await renewing


class _Body:
    """The task that the work runs in."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling_before = task.cancelling()
        self._stopped = False
        self._left = False

    def stop(self, renewing: asyncio.Task[None]) -> None:
        """Cancel the work, unless it is over or the renewing was merely told to end."""
        if not renewing.cancelled() and not self._left:
            self._stopped = self._task.cancel()

    def stopped_by_us_alone(self) -> bool:
        """Return whether nobody else wants the task to end."""
        return self._stopped and self._task.cancelling() - 1 <= self._cancelling_before

    def leave(self) -> None:
        """Take back our cancellation; from now on there is nothing to stop."""
        self._left = True
        if self._stopped:
            self._task.uncancel()


async def _renew(
    collection: Collection[M], document_id: str, owner: str, hold: timedelta, until: float
) -> None:
    clock = asyncio.get_running_loop().time
    third = hold.total_seconds() / 3
    while True:
        await asyncio.sleep(min(third, max(0.0, until - clock())))
        began = clock()
        try:
            async with asyncio.timeout_at(until):
                await collection.renew(document_id, owner=owner, hold=hold)
        except NotFoundError as error:
            raise LeaseLostError(f"{document_id} was deleted") from error
        except (TransientError, TimeoutError) as error:
            if clock() >= until:
                raise LeaseLostError(f"{document_id}: the lease lapsed, the store is out of reach") from error
        else:
            until = began + hold.total_seconds()
