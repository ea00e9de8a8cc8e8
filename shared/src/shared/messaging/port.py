"""The bus: what an adapter must do, and no more.

Topology: one durable topic exchange ``flightline.events``; one durable quorum queue per service and event,
named ``<service>.<event type>``; beside it one queue per rung of the retry ladder and one for dead letters.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.errors import NotFoundError, PermanentError

EXCHANGE = "flightline.events"
PROGRESS_EXCHANGE = "flightline.progress"
UNROUTED_QUEUE = "flightline.unrouted"

DEFAULT_LADDER = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
)
"""How long a message waits before each new attempt; after the last it is a dead letter."""


START_WITHIN = timedelta(minutes=2)
"""How long a service waits at start for a broker that cannot be reached."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """That a service hears of a type of event, in a queue of its own."""

    service: str
    event_type: str

    @property
    def queue(self) -> str:
        """Return the queue's name."""
        return f"{self.service}.{self.event_type}"


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that is declared on the broker."""

    subscriptions: tuple[Subscription, ...]
    ladder: tuple[timedelta, ...] = DEFAULT_LADDER


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes on their way, with headers that survive retries and dead-lettering."""

    body: bytes
    routing_key: str
    event_id: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Death:
    """Why a message became a dead letter."""

    reason: str
    """``permanent``, ``unreadable``, ``attempts_exhausted``, ``bug``, ``delivery_limit``: it took down so
    many consumers that the broker gave up; or ``unrouted``: nobody wanted it."""
    error: str
    """Class and message of the error."""
    trace: str = ""
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody could handle, as an operator sees it."""

    id: str
    queue: str
    """The work queue that it came from and is replayed to; or ``flightline.unrouted``, from which it is
    replayed to whoever has subscribed meanwhile."""
    message: Message
    death: Death
    died_at: datetime | None


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many messages of a work queue are where; None: the broker does not tell."""

    ready: int
    in_hand: int | None
    """Delivered and not settled yet."""
    retrying: int
    """On a rung of the ladder."""
    dead: int
    consumers: int | None
    oldest_s: float | None
    """For how long the oldest that is ready has been so."""


class UnroutableError(PermanentError):
    """Nobody has a queue for this type of event."""


def unrouted(routing_key: str) -> Death:
    """Return why a message lies in ``flightline.unrouted``."""
    return Death("unrouted", f"UnroutableError: no queue is bound to {routing_key!r}")


class Delivery(Protocol):
    """One message handed to a consumer, to be settled exactly once by one of the four methods."""

    @property
    def message(self) -> Message:
        """Return the message, with its original bytes."""

    @property
    def attempt(self) -> int:
        """Return which attempt this is, 1 first. Redelivery after a crash or shutdown does not count."""

    async def ack(self) -> None:
        """Say that the message was handled. A connection lost meanwhile is logged, not raised."""

    async def requeue(self) -> None:
        """Hand the message back untouched, for another consumer."""

    async def retry(self, delay: timedelta) -> None:
        """Make the message come again, as the next attempt, after ``delay`` (a rung of the ladder).

        Raises:
            TransientError: It could not be forwarded; it was not acked and will be redelivered.
        """

    async def bury(self, death: Death) -> None:
        """Move the message to the dead letters, its bytes and headers untouched.

        Raises:
            TransientError: It could not be forwarded; it was not acked and will be redelivered.
        """


class Deliveries(Protocol):
    """The messages that come to one consumer; iterated over by one task."""

    def __aiter__(self) -> AsyncIterator[Delivery]:
        """Return itself."""

    async def __anext__(self) -> Delivery:
        """Wait for the next message; ends after ``stop``."""

    async def stop(self) -> None:
        """Receive no more and hand back what was not yet iterated over; the rest can still be settled."""


class Transport(Protocol):
    """A broker. Methods raise ``TransientError`` while it cannot be reached."""

    async def declare(self, topology: Topology) -> None:
        """Declare all of ``topology``, repeatable; never deletes.

        Raises:
            PermanentError: The broker has something of the same name and another shape; the error says what.
        """

    async def publish(self, message: Message) -> None:
        """Publish to the event exchange; on return the message is on disk in every bound queue.

        Raises:
            UnroutableError: No queue is bound to its routing key; it lies in ``flightline.unrouted``.
            TransientError: The outcome is unknown; publish again with the same ``event_id``.
        """

    def consume(self, queue: str, *, prefetch: int) -> AbstractAsyncContextManager[Deliveries]:
        """Receive messages, at most ``prefetch`` unsettled at a time; survives reconnects and server cancels.

        Leaving the block stops delivery; what is unsettled then goes back to the queue.

        Raises:
            PermanentError: No queue of this name was declared.
        """

    def is_consuming(self, queue: str) -> bool:
        """Return whether the broker would deliver to us now."""

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in ``queue``."""

    async def counts(self, queue: str, ladder: Sequence[timedelta]) -> QueueCounts:
        """Return what lies in a work queue and beside it; ``ladder`` says which rungs there may be.

        Raises:
            PermanentError: No queue of this name was declared.
        """

    def dead_letters(self, queue: str) -> AsyncGenerator[DeadLetter, None]:
        """Iterate over the dead letters of a work queue, oldest first, without taking them away.

        Close it where it is left early (``contextlib.aclosing``): RabbitMQ shows them to one at a time.
        """

    async def replay(self, queue: str, letter_id: str) -> None:
        """Put a dead letter back into its queue with attempts reset and event id kept; then remove it.

        Raises:
            NotFoundError: There is no such dead letter.
        """

    async def discard(self, queue: str, letter_id: str) -> None:
        """Remove a dead letter for ever.

        Raises:
            NotFoundError: There is no such dead letter.
        """

    def replay_each(
        self, queue: str, wanted: Callable[[DeadLetter], bool]
    ) -> AsyncGenerator[DeadLetter, None]:
        """Replay the wanted ones among the dead letters that are there now, oldest first; yield each, gone.

        One pass, however many there are; what nobody wants still is left. Close it where it is left early.
        """

    def discard_each(
        self, queue: str, wanted: Callable[[DeadLetter], bool]
    ) -> AsyncGenerator[DeadLetter, None]:
        """Remove the wanted ones among the dead letters that are there now for ever, as ``replay_each``."""

    async def restore(self, letter: DeadLetter) -> None:
        """Put a letter that was removed back among the dead letters of its queue; it gets another id."""

    async def tell(self, topic: str, body: bytes) -> None:
        """Send a progress message that nobody may hear; never waits for a confirm, never raises."""

    def hear(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Receive progress messages sent from now on, by any process; slow listeners lose the oldest."""

    def tail(self) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """Receive a copy of every event published from now on, without taking it from anybody."""

    async def ping(self) -> None:
        """Return if the broker answers."""


async def the_one(settled: AsyncGenerator[DeadLetter, None], queue: str, letter_id: str) -> None:
    """Have the first letter settled, and no other.

    Raises:
        NotFoundError: There is none.
    """
    async with aclosing(settled) as letters:
        async for _ in letters:
            return
    raise NotFoundError(f"{queue} has no dead letter {letter_id}")
