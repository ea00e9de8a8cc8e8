"""What happens to flights, handed on to everybody who watches; nothing waits for a slow one."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from discovery.domain.flights import Flight
from discovery.domain.progress import Rates, state_told
from shared.errors import TransientError
from shared.events import EVENT_TYPES, FlightFound
from shared.messaging.codec import UnreadableError, decode, event_type
from shared.messaging.port import Message, Transport
from shared.messaging.progress import Progress
from shared.state import Collection

log = structlog.get_logger()

KEPT = 1_000
"""So many of the newest words a listener that comes back may hear again."""
WAITING_AT_MOST = 256
LISTENERS_AT_MOST = 1_000
OWNERS_AT_MOST = 10_000
_TYPES = {kind.type: kind for kind in EVENT_TYPES}


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened."""

    id: str
    kind: str
    """``progress`` or ``state``."""
    flight_id: str
    data: str

    @property
    def frame(self) -> bytes:
        """Return it as a server-sent event."""
        return f"id: {self.id}\nevent: {self.kind}\ndata: {self.data}\n\n".encode()


@dataclass(slots=True, eq=False)
class Listener:
    """Somebody who watches, and what waits for them."""

    waiting: asyncio.Queue[Told] = field(default_factory=lambda: asyncio.Queue(WAITING_AT_MOST))
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when they were too slow; they come back and say what they heard last."""

    def tell(self, told: Told) -> None:
        """Have something wait for them."""
        try:
            self.waiting.put_nowait(told)
        except asyncio.QueueFull:
            self.dropped.set()


@dataclass(slots=True)
class Feed:
    """Hears progress and events once, however many watch."""

    transport: Transport
    flights: Collection[Flight]
    clock: Callable[[], float] = time.monotonic
    _listeners: set[Listener] = field(default_factory=set)
    _kept: deque[Told] = field(default_factory=lambda: deque(maxlen=KEPT))
    _rates: Rates = field(default_factory=Rates)
    _owners: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _run: str = field(default_factory=lambda: secrets.token_hex(4))
    _count: int = 0

    async def run(self) -> None:
        """Hear, until cancelled."""
        async with asyncio.TaskGroup() as ears:
            ears.create_task(self._hear_progress(), name="hear progress")
            ears.create_task(self._hear_events(), name="hear events")

    @property
    def is_full(self) -> bool:
        """Return whether nobody more may listen to this process."""
        return len(self._listeners) >= LISTENERS_AT_MOST

    @contextmanager
    def listening(self, last_heard: str | None = None) -> Iterator[tuple[Listener, bool]]:
        """Listen while the block runs; tells also whether nothing was missed since ``last_heard``."""
        listener = Listener()
        missed = self._since(last_heard)
        for told in (missed or [])[-WAITING_AT_MOST:]:
            listener.tell(told)
        self._listeners.add(listener)
        try:
            yield listener, missed is not None and len(missed) <= WAITING_AT_MOST
        finally:
            self._listeners.discard(listener)

    async def owner_of(self, flight_id: str) -> str:
        """Return whose flight it is."""
        if flight_id not in self._owners:
            flight = await self.flights.get(flight_id)
            if flight is None:
                return ""
            self._know(flight_id, flight.body.owner)
        return self._owners[flight_id]

    def _know(self, flight_id: str, owner: str) -> None:
        self._owners[flight_id] = owner
        if len(self._owners) > OWNERS_AT_MOST:
            self._owners.popitem(last=False)

    def _since(self, last_heard: str | None) -> list[Told] | None:
        """Return what was told behind ``last_heard``; None: that cannot be said any more."""
        if last_heard is None:
            return None
        kept = list(self._kept)
        heard = next((number for number, told in enumerate(kept) if told.id == last_heard), None)
        return None if heard is None else kept[heard + 1 :]

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        self._count += 1
        text = json.dumps({key: value for key, value in data.items() if value is not None})
        told = Told(f"{self._run}-{self._count}", kind, str(data["flight_id"]), text)
        self._kept.append(told)
        for listener in self._listeners:
            listener.tell(told)

    async def _hear_progress(self) -> None:
        async with self.transport.hear() as bodies:
            async for body in bodies:
                try:
                    progress = Progress.model_validate_json(body)
                except ValueError:
                    continue
                self._tell("progress", self._rates.rated(progress.model_dump(), self.clock()))
        raise TransientError("the bus tells no progress any more")

    async def _hear_events(self) -> None:
        async with self.transport.tail() as messages:
            async for message in messages:
                self._note(message)
        raise TransientError("the bus tells no events any more")

    def _note(self, message: Message) -> None:
        try:
            kind = _TYPES.get(event_type(message) or "")
            if kind is None:
                return
            data = decode(message, kind).data
        except UnreadableError:
            return
        if isinstance(data, FlightFound):
            self._know(data.flight_id, data.owner)
        if told := state_told(data):
            self._tell("state", told)
