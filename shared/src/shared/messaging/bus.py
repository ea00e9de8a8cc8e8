"""The bus as a service sees it: events out, events in, progress."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from shared.errors import InvalidInputError
from shared.events import Event
from shared.messaging.background import background
from shared.messaging.codec import encode
from shared.messaging.consumer import DEFAULT_GRACE, Consumer
from shared.messaging.hops import sending
from shared.messaging.port import START_WITHIN, Topology, Transport
from shared.messaging.progress import Progress, ProgressTeller
from shared.messaging.sqlite import open_sqlite
from shared.state.open import sqlite_path


class Bus:
    """A transport, spoken to in the name of one service."""

    def __init__(self, transport: Transport, service: str, topology: Topology) -> None:
        self.transport = transport
        self.service = service
        self.topology = topology
        self.teller = ProgressTeller(transport, service)

    async def publish(self, event: Event[Any]) -> None:
        """Publish ``event``; on return it is on disk in the queue of everybody who subscribed.

        Raises:
            UnroutableError: Nobody subscribed; it lies in ``flightline.unrouted``.
            TransientError: The outcome is unknown; publish the same event again.
        """
        with sending(encode(event)) as message:
            await self.transport.publish(message)

    def consumer(self, *, prefetch: int = 20, grace: timedelta = DEFAULT_GRACE) -> Consumer:
        """Return a consumer to be given handlers and then entered.

        Args:
            prefetch: Events handled at the same time, per type; 20 to 50 for light work, 1 to 4 for images.
            grace: How long handlers may finish in when it is left.
        """
        return Consumer(self.transport, self.service, self.topology, prefetch=prefetch, grace=grace)

    async def progress(self, progress: Progress) -> None:
        """Tell whoever listens how far a flight is; losing it loses nothing."""
        await self.teller.tell(progress)


@asynccontextmanager
async def open_bus(
    url: str, topology: Topology, *, service: str, start_within: timedelta = START_WITHIN
) -> AsyncIterator[Bus]:
    """Open the bus at ``url`` with everything in ``topology`` declared.

    Args:
        url: ``amqp://``, ``amqps://`` or ``sqlite:///absolute/path/bus.db``.
        topology: What all services subscribe to.
        service: Who speaks.
        start_within: How long to wait for a broker that cannot be reached yet.

    Raises:
        InvalidInputError: ``url`` is of no kind that we know.
        TransientError: The broker could not be reached in time.
        PermanentError: The broker has something of the same name and another shape.
    """
    async with open_transport(url, start_within=start_within) as transport:
        await transport.declare(topology)
        bus = Bus(transport, service, topology)
        async with background(bus.teller.run()):
            yield bus
            await bus.teller.flush()


def open_transport(
    url: str, *, start_within: timedelta = START_WITHIN
) -> AbstractAsyncContextManager[Transport]:
    """Open the broker at ``url`` and declare nothing.

    Raises:
        InvalidInputError: ``url`` is of no kind that we know.
    """
    match urlsplit(url).scheme:
        case "sqlite":
            return open_sqlite(sqlite_path(url))
        case "amqp" | "amqps":
            from shared.messaging.amqp import open_amqp  # noqa: PLC0415 - a fifth of a second at start-up

            return open_amqp(url, start_within=start_within)
        case scheme:
            raise InvalidInputError(
                f"a bus URL begins with amqp://, amqps:// or sqlite:///absolute/path, not with {scheme!r}",
                field="bus",
            )
