"""A connection to RabbitMQ that comes back, and what its failures mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)
from aiormq.abc import AbstractChannel
from yarl import URL

from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.messaging.port import UnroutableError

log = structlog.get_logger(__name__)

HEARTBEAT_S = 10
RECONNECT_EVERY_S = 0.5
CONNECT_WITHIN_S = 10.0
ANSWER_WITHIN_S = 8.0
"""How long we wait for the broker's answer to anything, a publisher confirm included."""
CLOSE_WITHIN_S = 3.0

FAILURES = (*CONNECTION_EXCEPTIONS, TimeoutError)


class Link:
    """A connection that is opened anew whenever it is lost, while ``run`` runs.

    Raises:
        InvalidInputError: The URL cannot be read.
    """

    def __init__(self, url: str, name: str) -> None:
        try:
            self._url = URL(url)
        except ValueError:
            raise InvalidInputError("this is no amqp:// URL", field="bus") from None  # it may hold a password
        if "heartbeat" not in self._url.query:
            self._url = self._url.update_query(heartbeat=HEARTBEAT_S)
        self._name = name
        self._connection: AbstractConnection | None = None
        self._connected = asyncio.Event()
        self.refusal: BaseException | None = None
        """Why the last attempt to connect failed."""

    @property
    def address(self) -> str:
        """Return host and port, which may be shown to anybody."""
        return f"{self._url.host}:{self._url.port or 5672}"

    async def run(self) -> None:
        """Keep connected, until cancelled."""
        while True:
            try:
                await self._connect_and_wait()
            except FAILURES as error:
                if repr(error) != repr(self.refusal):  # once, not twice a second
                    log.warning(
                        "rabbitmq.unreachable", address=self.address, link=self._name, error=repr(error)
                    )
                self.refusal = error
            await asyncio.sleep(RECONNECT_EVERY_S)

    async def connection(self, within_s: float = ANSWER_WITHIN_S) -> AbstractConnection:
        """Return the open connection, waiting for it where necessary.

        Raises:
            TransientError: There was none in time.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._connected.wait()
        except TimeoutError as error:
            why = repr(self.refusal) if self.refusal else "no answer"
            raise TransientError(f"RabbitMQ at {self.address} cannot be reached: {why}") from error
        assert self._connection is not None
        return self._connection

    async def channel(self, *, confirms: bool = False) -> AbstractChannel:
        """Open a channel.

        Raises:
            TransientError: The broker cannot be reached.
        """
        connection = await self.connection()
        async with broker_errors("open a channel"):
            channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
            await channel.initialize()
            return await channel.get_underlay_channel()

    async def _connect_and_wait(self) -> None:
        lost = asyncio.Event()
        connection = await aio_pika.connect(
            self._url, timeout=CONNECT_WITHIN_S, client_properties={"connection_name": self._name}
        )
        assert connection.transport is not None
        connection.transport.connection.closing.add_done_callback(lambda _: lost.set())
        self._connection, self.refusal = connection, None
        self._connected.set()
        log.info("rabbitmq.connected", address=self.address, link=self._name)
        try:
            await lost.wait()
            log.warning("rabbitmq.lost", address=self.address, link=self._name)
        finally:
            self._connected.clear()
            with suppress(*FAILURES, asyncio.CancelledError):
                await asyncio.wait_for(connection.close(), CLOSE_WITHIN_S)


def is_refused_login(error: BaseException | None) -> bool:
    """Return whether the broker answered that it does not know us."""
    return isinstance(error, AuthenticationError | ProbableAuthenticationError)


@asynccontextmanager
async def broker_errors(doing: str, *, within_s: float = ANSWER_WITHIN_S) -> AsyncIterator[None]:
    """Limit the time of the block, and translate what the client library raises in it.

    Raises:
        UnroutableError: No queue took the message.
        PermanentError: A queue or exchange differs from what we declare, or is not there.
        TransientError: Anything else; the outcome is unknown.
    """
    try:
        async with asyncio.timeout(within_s):
            yield
    except asyncio.CancelledError as error:
        # The library cancels its futures when a connection dies; only our own cancellation is to be obeyed.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise TransientError(f"could not {doing}: the connection was lost; the outcome is unknown") from error
    except PublishError as error:
        raise UnroutableError(f"could not {doing}: no queue is bound") from error
    except DeliveryError as error:
        raise TransientError(f"could not {doing}: the broker refused it, as for a full queue") from error
    except (ChannelPreconditionFailed, ChannelNotFoundEntity) as error:
        raise PermanentError(f"could not {doing}: {error}") from error
    except FAILURES as error:
        raise TransientError(f"could not {doing}: {error!r}; the outcome is unknown") from error


async def close_quietly(channel: AbstractChannel) -> None:
    """Close ``channel``; if that fails it is closed already, or about to be."""
    with suppress(*FAILURES):
        async with broker_errors("close a channel", within_s=CLOSE_WITHIN_S):
            await channel.close()


@asynccontextmanager
async def channel_of(link: Link) -> AsyncIterator[AbstractChannel]:
    """Open a channel for the length of a block; what it has not settled then goes back.

    Raises:
        TransientError: The broker cannot be reached.
    """
    channel = await link.channel()
    try:
        yield channel
    finally:
        await close_quietly(channel)
