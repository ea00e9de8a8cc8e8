"""The one place that settles messages: decode, call the handler, and act on how that ended."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import structlog

from shared.errors import PermanentError, TransientError
from shared.events import Event, EventData
from shared.logging import log_about
from shared.messaging.background import background
from shared.messaging.codec import UnreadableError, decode
from shared.messaging.hops import heard_in, processing
from shared.messaging.metrics import EVENT_AGE_SECONDS, EVENTS_HANDLED, HANDLER_SECONDS
from shared.messaging.port import Death, Deliveries, Delivery, Subscription, Topology, Transport

D = TypeVar("D", bound=EventData)
P = ParamSpec("P")

log = structlog.get_logger(__name__)

DEFAULT_GRACE = timedelta(seconds=20)
PAUSE_AFTER_FAILED_FORWARD_S = 1.0
TRACE_AT_MOST = 8_000
"""Characters of a traceback that a dead letter carries: its end, which says most."""


class _Route:
    """Which handler takes the events of one queue, and how many it took how."""

    def __init__(
        self,
        subscription: Subscription,
        data_type: type[EventData],
        handler: Callable[[Event[Any]], Awaitable[None]],
    ) -> None:
        self.queue = subscription.queue
        self.span_name = f"process {self.queue}"
        self.data_type = data_type
        self.handler = handler
        self.labels = (subscription.service, subscription.event_type)
        self.seconds = HANDLER_SECONDS.labels(*self.labels)
        self.age = EVENT_AGE_SECONDS.labels(*self.labels)
        self.handled = EVENTS_HANDLED.labels(*self.labels, "handled")

    def count(self, outcome: str) -> None:
        EVENTS_HANDLED.labels(*self.labels, outcome).inc()


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
        self._deliveries: list[Deliveries] = []
        self._handling: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()

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
            self._transport.is_consuming(route.queue) for route in self._routes
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for route in self._routes:
                opened = self._transport.consume(route.queue, prefetch=self._prefetch)
                deliveries = await stack.enter_async_context(opened)
                await stack.enter_async_context(background(self._receive(route, deliveries)))
                self._deliveries.append(deliveries)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._stack:
            for deliveries in self._deliveries:
                try:
                    await deliveries.stop()
                except TransientError as stuck:  # what it holds goes back when the block below it ends
                    log.warning("consumer.not_stopped", error=str(stuck))
            self._deliveries.clear()
            await self._drain()

    async def _drain(self) -> None:
        if not self._handling:
            return
        log.info("consumer.draining", handlers=len(self._handling), grace_s=self._grace_s)
        _, unfinished = await asyncio.wait(self._handling, timeout=self._grace_s)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)

    async def _receive(self, route: _Route, deliveries: Deliveries) -> None:
        slots = asyncio.Semaphore(self._prefetch)

        def settled(task: asyncio.Task[None]) -> None:
            self._handling.discard(task)
            slots.release()

        async for delivery in deliveries:
            # After a reconnect the transport may hand out as many again while old handlers still run.
            await slots.acquire()
            task = asyncio.create_task(self._handle(route, delivery), name=route.queue)
            self._handling.add(task)
            task.add_done_callback(settled)

    async def _handle(self, route: _Route, delivery: Delivery) -> None:
        try:
            await self._settle(route, delivery)
        except asyncio.CancelledError:
            route.count("handed_back")
            log.info("event.handed_back")
            await asyncio.shield(delivery.requeue())
            raise
        except Exception as error:  # noqa: BLE001 - the message is neither lost nor acked, it comes again
            route.count("forward_failed")
            log.warning("event.forward_failed", error=_named(error))
            await asyncio.sleep(PAUSE_AFTER_FAILED_FORWARD_S)
            await delivery.requeue()

    async def _settle(self, route: _Route, delivery: Delivery) -> None:
        try:
            event = decode(delivery.message, route.data_type)
        except Exception as error:  # noqa: BLE001 - whatever it is, the queue goes on
            await self._fail(route, delivery, error)
            return
        with processing(route.span_name, route.queue, delivery, event) as span:
            try:
                await _call(route, heard_in(span, event))
            except asyncio.CancelledError as error:
                if _is_being_cancelled():
                    raise
                span.fail(error)
                cancelled = TransientError(f"a library cancelled the handler: {error}")
                await self._fail(route, delivery, cancelled)
            except Exception as error:  # noqa: BLE001 - a bug in a handler must not stop the queue
                span.fail(error)
                await self._fail(route, delivery, error)
            else:
                await delivery.ack()
                route.handled.inc()

    async def _fail(self, route: _Route, delivery: Delivery, error: Exception) -> None:
        """Send a message whose handling failed to the retry ladder or to the dead letters."""
        delay = self._delay(delivery.attempt, error)
        if delay is not None:
            log.warning(
                "event.retried", error=_named(error), attempt=delivery.attempt, delay_s=delay.total_seconds()
            )
            await delivery.retry(delay)
            route.count("retried")
            return
        reason = _reason(error)
        log.error("event.buried", reason=reason, error=_named(error), exc_info=reason == "bug" and error)
        trace = "".join(traceback.format_exception(error))[-TRACE_AT_MOST:]
        await delivery.bury(Death(reason, _named(error), trace, delivery.attempt))
        route.count(reason)

    def _delay(self, attempt: int, error: Exception) -> timedelta | None:
        """Return how long to wait for the next attempt; None: there is none."""
        ladder = self._topology.ladder
        if not isinstance(error, TransientError) or attempt > len(ladder):
            return None
        wished = error.retry_after
        if wished is None:
            return ladder[attempt - 1]
        return next((rung for rung in sorted(ladder) if rung >= wished), max(ladder))


async def _call(route: _Route, event: Event[Any]) -> None:
    log_about(partial(_log_context, event))  # in the task's own context, so it ends with the task
    route.age.observe(max(0.0, (datetime.now(UTC) - event.time).total_seconds()))
    started = time.perf_counter()
    try:
        await route.handler(event)
    finally:
        route.seconds.observe(time.perf_counter() - started)


def _log_context(event: Event[Any]) -> dict[str, str]:
    context = {"event_id": event.id, "event_type": event.type, "correlation_id": event.correlation}
    for key in ("flight_id", "task_id"):
        if value := getattr(event.data, key, None):
            context[key] = value
    return context


def _reason(error: Exception) -> str:
    match error:
        case UnreadableError():
            return "unreadable"
        case PermanentError():
            return "permanent"
        case TransientError():
            return "attempts_exhausted"
        case _:
            return "bug"


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
