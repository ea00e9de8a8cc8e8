"""From outboxes to the bus: what a document decided to tell is told, then crossed off."""

from __future__ import annotations

import asyncio
import re
import time
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
LEFT_TO_WRITER_S = 3.0
"""For so long an event is left to the process that decided on it."""
OWN_AT_MOST = 10_000
"""Events that a process knows to be its own; older ones it finds as if they were another's."""
LEFT_AT_MOST = 400
"""Others' documents that are looked past at once."""

_TIME = re.compile(r'"time":"([^"]+)"')


class OutboxRelay:
    """Publishes the outboxes of a service's collections.

    Several may run beside each other. Each publishes at once what its own process has decided on, and of the
    others' what they have left lying for some seconds: they may have died. An event is then perhaps published
    twice, with the same id.
    """

    def __init__(self, transport: Transport, store: Store, collections: Sequence[str]) -> None:
        self._transport = transport
        self._store = store
        self._collections = collections
        self._woken = asyncio.Event()
        self._own: dict[str, None] = {}
        self._left_since_s: dict[str, dict[str, float]] = {}
        """By collection: the first events of others' documents, and since when they are left to them."""

    def wake(self, *event_ids: str) -> None:
        """Look now rather than within a second, for these events of our own among others."""
        self._own.update(dict.fromkeys(event_ids))
        while len(self._own) > OWN_AT_MOST:  # another has told them, or they are refused
            del self._own[next(iter(self._own))]
        self._woken.set()

    async def run(self) -> None:
        """Relay until cancelled."""
        pause_s = LOOK_EVERY_S
        while True:
            self._woken.clear()
            try:
                for collection in self._collections:
                    await self._relay_pages(collection, leaves_young=True)
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
        """Publish all that waits now, whoever decided on it.

        Raises:
            TransientError: The bus or the store cannot be reached; what is left stays in the outboxes.
        """
        for collection in self._collections:
            await self._relay_pages(collection, leaves_young=False)

    async def _relay_pages(self, collection: str, *, leaves_young: bool) -> None:
        """Relay the documents that wait longest, and go on as long as there are more and all of them go."""
        while True:
            at_most = DOCUMENTS_AT_ONCE + min(LEFT_AT_MOST, len(self._left_since_s.get(collection, ())))
            records = await self._store.pending(collection, at_most)
            OUTBOX_DOCUMENTS.labels(collection).set(len(records))
            OUTBOX_OLDEST_SECONDS.labels(collection).set(_age_s(records[0]) if records else 0.0)
            due = self._due(collection, records) if leaves_young else records
            outcomes = await asyncio.gather(
                *(self._relay(collection, record) for record in due), return_exceptions=True
            )
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
            are_all_left = not due and at_most == DOCUMENTS_AT_ONCE + LEFT_AT_MOST
            if len(records) < at_most or are_all_left or not all(outcomes):
                return

    def _due(self, collection: str, records: Sequence[Record]) -> list[Record]:
        """Return those of ``records`` that are our own, or that others have left lying for too long."""
        now_s, before = time.monotonic(), self._left_since_s.get(collection, {})
        left, due = dict[str, float](), list[Record]()
        for record in records:
            first = record.outbox[0].id
            since_s = before.get(first, now_s)
            is_old = max(_age_s(record), now_s - since_s) >= LEFT_TO_WRITER_S  # their clock may be ahead
            if is_old or any(entry.id in self._own for entry in record.outbox):
                due.append(record)
            else:
                left[first] = since_s
        self._left_since_s[collection] = left
        return due

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
                for event_id in told:
                    self._own.pop(event_id, None)
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


def _age_s(record: Record) -> float:
    """Return for how long its first event has waited; attributes come before the data."""
    found = _TIME.search(record.outbox[0].event)
    if found is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(found[1])).total_seconds())
