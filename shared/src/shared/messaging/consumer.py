"""The one place that settles messages: decode, call the handler, and act on how that ended."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import structlog
from structlog.contextvars import bind_contextvars

from shared.errors import PermanentError, TransientError
from shared.events import Event, EventData
from shared.messaging.codec import UnreadableError, decode
from shared.messaging.metrics import EVENT_AGE_SECONDS, EVENTS_HANDLED, HANDLER_SECONDS
from shared.messaging.port import Death, Deliveries, Delivery, Subscription, Topology, Transport

D = TypeVar("D", bound=EventData)
P = ParamSpec("P")
Handler = Callable[[Event[Any]], Awaitable[None]]

log = structlog.get_logger(__name__)

DEFAULT_GRACE = timedelta(seconds=20)
PAUSE_AFTER_FAILED_FORWARD_S = 1.0
TRACE_AT_MOST = 8_000
"""Characters of a traceback that a dead letter carries; its end, which says most."""


@dataclass(frozen=True, slots=True)
class _Route:
    """What is done with the events of one queue."""

    subscription: Subscription
    data_type: type[EventData]
    handler: Handler

    def count(self, outcome: str) -> None:
        EVENTS_HANDLED.labels(self.subscription.service, self.subscription.event_type, outcome).inc()


class Consumer:
    """Calls handlers with events, between entering and leaving its ``async with`` block.

    Leaving stops delivery, lets handlers finish within ``grace`` and hands the rest back.
    """

    def __init__(
        self,
        transport: Transport,
        service: str,
        topology: Topology,
        *,
        prefetch: int = 20,
        grace: timedelta = DEFAULT_GRACE,
    ) -> None:
        self._transport = transport
        self._service = service
        self._topology = topology
        self._prefetch = prefetch
        self._grace_s = grace.total_seconds()
        self._routes: list[_Route] = []
        self._handling: set[asyncio.Task[None]] = set()
        self._open = AsyncExitStack()
        self._deliveries: list[Deliveries] = []
        self._tasks = asyncio.TaskGroup()

    def on(
        self,
        event_type: type[D],
        handler: Callable[Concatenate[Event[D], P], Awaitable[None]],
        *args: P.args,
        **deps: P.kwargs,
    ) -> None:
        """Send every event of ``event_type`` to ``handler``, called with ``deps``.

        Raises:
            ValueError: The topology has no queue for it.
        """
        subscription = Subscription(self._service, event_type.type)
        if subscription not in self._topology.subscriptions:
            raise ValueError(f"{subscription.queue} is not in the topology, so nothing would ever arrive")

        def bound(event: Event[Any]) -> Awaitable[None]:
            return handler(event, *args, **deps)

        self._routes.append(_Route(subscription, event_type, bound))

    @property
    def is_consuming(self) -> bool:
        """Return whether every queue delivers to us now."""
        return bool(self._deliveries) and all(
            self._transport.is_consuming(route.subscription.queue) for route in self._routes
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(self._tasks)
            for route in self._routes:
                queue = route.subscription.queue
                opened = self._transport.consume(queue, prefetch=self._prefetch)
                deliveries = await stack.enter_async_context(opened)
                self._deliveries.append(deliveries)
                tasks.create_task(self._receive(route, deliveries), name=f"receive {queue}")
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._drain()
        finally:
            self._deliveries.clear()
            await self._open.__aexit__(kind, error, trace)

    async def _drain(self) -> None:
        for deliveries in self._deliveries:
            await deliveries.stop()
        if self._handling:
            log.info("consumer.draining", handlers=len(self._handling), grace_s=self._grace_s)
            await asyncio.wait(self._handling, timeout=self._grace_s)
        unfinished = list(self._handling)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)

    async def _receive(self, route: _Route, deliveries: Deliveries) -> None:
        """Start a task per message; there are never more than the prefetch, even across a reconnect."""
        slots = asyncio.Semaphore(self._prefetch)
        async for delivery in deliveries:
            await slots.acquire()
            task = self._tasks.create_task(self._handle(route, delivery))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)
            task.add_done_callback(lambda _, slots=slots: slots.release())

    async def _handle(self, route: _Route, delivery: Delivery) -> None:
        try:
            try:
                await self._call(route, delivery)
            except asyncio.CancelledError:
                if _is_being_cancelled():
                    raise
                error = TransientError("a library cancelled the handler")
                await self._fail(route, delivery, error)
            except Exception as error:  # noqa: BLE001 - every outcome is settled here, bugs too
                await self._fail(route, delivery, error)
            else:
                await delivery.ack()
                route.count("handled")
        except asyncio.CancelledError:
            log.info("event.handed_back")
            route.count("handed_back")
            await asyncio.shield(_quietly(delivery.requeue()))
            raise
        except TransientError as error:
            log.warning("event.forward_failed", error=str(error))
            route.count("forward_failed")
            await asyncio.sleep(PAUSE_AFTER_FAILED_FORWARD_S)
            await _quietly(delivery.requeue())
