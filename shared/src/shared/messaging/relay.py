"""From outboxes to the bus: what a document decided to tell is told, then crossed off."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from shared.errors import PermanentError, TransientError
from shared.messaging.codec import STRUCTURED_TYPE
from shared.messaging.hops import sending
from shared.messaging.metrics import EVENTS_PUBLISHED, OUTBOX_DOCUMENTS, OUTBOX_OLDEST_SECONDS
from shared.messaging.port import Message, Transport, UnroutableError
from shared.rhythm import until_next_s
from shared.state.port import OutboxEntry, Record, RevisionError, Store

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
DOCUMENTS_AT_ONCE = 100
LONGEST_PAUSE_S = 30.0

_TIME = re.compile(r'"time":"([^"]+)"')


class OutboxRelay:
    """Publishes the outboxes of a service's collections.

    Several may run beside each other: an event is then perhaps published twice, with the same id.
    """

    def __init__(self, transport: Transport, store: Store, collections: Sequence[str]) -> None:
        self._transport = transport
        self._store = store
        self._collections = collections
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now rather than within a second."""
        self._woken.set()

    async def run(self) -> None:
        """Relay until cancelled."""
        pause_s = LOOK_EVERY_S
        while True:
            self._woken.clear()
            try:
                await self.flush()
                pause_s = LOOK_EVERY_S
            except TransientError as error:  # publishing itself waits for the broker, so this is not often
                log.warning("outbox.delayed", error=str(error), pause_s=LOOK_EVERY_S)
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            except PermanentError as error:
                log.warning("outbox.delayed", error=str(error), pause_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(until_next_s(LOOK_EVERY_S)):
                    await self._woken.wait()

    async def flush(self) -> None:
        """Publish all that waits now.

        Raises:
            TransientError: The bus or the store cannot be reached; what is left stays in the outboxes.
        """
        for collection in self._collections:
            while await self._relay_page(collection) == DOCUMENTS_AT_ONCE:
                pass

    async def _relay_page(self, collection: str) -> int:
        """Relay the documents that wait longest; return how many got rid of everything."""
        records = await self._store.pending(collection, DOCUMENTS_AT_ONCE)
        OUTBOX_DOCUMENTS.labels(collection).set(len(records))
        OUTBOX_OLDEST_SECONDS.labels(collection).set(_oldest_s(records))
        outcomes = await asyncio.gather(
            *(self._relay(collection, record) for record in records), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(outcome is True for outcome in outcomes)

    async def _relay(self, collection: str, record: Record) -> bool:
        """Publish the outbox of one document in order; return whether all of it went."""
        told: set[str] = set()
        try:
            for entry in record.outbox:
                if not await self._publish(collection, record, entry):
                    break
                told.add(entry.id)
        finally:
            if told:
                await asyncio.shield(self._cross_off(collection, record, told))
        return len(told) == len(record.outbox)

    async def _publish(self, collection: str, record: Record, entry: OutboxEntry) -> bool:
        """Publish one event; return whether it may be crossed off."""
        try:
            told = Message(entry.event.encode(), entry.type, entry.id, content_type=STRUCTURED_TYPE)
            with sending(told) as message:
                await self._transport.publish(message)
        except UnroutableError as error:
            log.warning("outbox.unrouted", event_id=entry.id, event_type=entry.type, error=str(error))
            EVENTS_PUBLISHED.labels(entry.type, "unrouted").inc()
        except PermanentError as error:
            log.error(  # noqa: TRY400 - the trace would tell nothing that the message does not
                "outbox.refused", document=f"{collection}/{record.id}", event_id=entry.id, error=str(error)
            )
            EVENTS_PUBLISHED.labels(entry.type, "refused").inc()
            return False
        else:
            EVENTS_PUBLISHED.labels(entry.type, "published").inc()
        return True

    async def _cross_off(self, collection: str, record: Record, told: set[str]) -> None:
        current: Record | None = record
        while current is not None:
            left = tuple(entry for entry in current.outbox if entry.id not in told)
            if len(left) == len(current.outbox):
                return
            try:
                changed = replace(current, outbox=left, revision=current.revision + 1)
                await self._store.swap(collection, changed)
            except RevisionError:
                current = await self._store.get(collection, record.id)
            else:
                return


def _oldest_s(records: Sequence[Record]) -> float:
    """Return for how long the first event has waited; attributes come before the data."""
    entry = records[0].outbox[0] if records and records[0].outbox else None
    found = _TIME.search(entry.event) if entry else None
    if found is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(found[1])).total_seconds())
