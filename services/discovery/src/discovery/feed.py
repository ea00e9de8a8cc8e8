"""What happens to flights, handed on to everybody who watches; nothing waits for a slow one.

While nobody watches, nothing is heard: it would cost every replica a copy of all that is said on the bus.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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
LINGER_S = 60.0
"""Who comes back within this time after the last listener left has missed nothing."""
HEARD_WITHIN_S = 10.0
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
    linger_s: float = LINGER_S
    _listeners: set[Listener] = field(default_factory=set)
    _kept: deque[Told] = field(default_factory=lambda: deque(maxlen=KEPT))
    _rates: Rates = field(default_factory=Rates)
    _owners: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _run: str = field(default_factory=lambda: secrets.token_hex(4))
    _count: int = 0
    _wanting: int = 0
    _came: int = 0
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _hearing: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Hear while somebody listens, until cancelled."""
        while True:
            await self._wanted.wait()
            async with self.transport.hear() as bodies, self.transport.tail() as messages:
                await self._hear(bodies, messages)

    async def _hear(self, bodies: AsyncIterator[bytes], messages: AsyncIterator[Message]) -> None:
        async with asyncio.TaskGroup() as group:
            ears = [
                group.create_task(self._hear_progress(bodies), name="hear progress"),
                group.create_task(self._hear_events(messages), name="hear events"),
            ]
            self._hearing.set()
            try:
                await self._left_alone()
            finally:
                self._hearing.clear()
                self._kept.clear()  # from now on something is missed
                if not self._wanting:
                    self._wanted.clear()
            for ear in ears:
                ear.cancel()

    async def _left_alone(self) -> None:
        came = -1
        while self._wanting or came != self._came:
            came = self._came
            await asyncio.sleep(self.linger_s)

    @property
    def is_hearing(self) -> bool:
        """Return whether what is said on the bus is heard now."""
        return self._hearing.is_set()

    @property
    def is_full(self) -> bool:
        """Return whether nobody more may listen to this process."""
        return self._wanting >= LISTENERS_AT_MOST

    @asynccontextmanager
    async def listening(self, last_heard: str | None = None) -> AsyncIterator[tuple[Listener, bool]]:
        """Listen while the block runs; tells also whether nothing was missed since ``last_heard``.

        Raises:
            TransientError: The bus cannot be heard now.
        """
        self._wanting += 1
        self._came += 1
        self._wanted.set()
        listener = Listener()
        try:
            await self._heard()
            missed = self._since(last_heard)
            for told in (missed or [])[-WAITING_AT_MOST:]:
                listener.tell(told)
            self._listeners.add(listener)
            yield listener, missed is not None and len(missed) <= WAITING_AT_MOST
        finally:
            self._listeners.discard(listener)
            self._wanting -= 1

    async def _heard(self) -> None:
        try:
            async with asyncio.timeout(HEARD_WITHIN_S):
                await self._hearing.wait()
        except TimeoutError as error:
            raise TransientError("the bus cannot be heard now") from error

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

    async def _hear_progress(self, bodies: AsyncIterator[bytes]) -> None:
        async for body in bodies:
            try:
                progress = Progress.model_validate_json(body)
            except ValueError:
                continue
            self._tell("progress", self._rates.rated(progress.model_dump(), self.clock()))
        raise TransientError("the bus tells no progress any more")

    async def _hear_events(self, messages: AsyncIterator[Message]) -> None:
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
