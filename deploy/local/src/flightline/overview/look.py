"""One look at everything, in bounded time: what does not answer is said, and the rest is shown."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from flightline.overview import work
from flightline.overview.model import Backend, Failure, Line, Overview, QueueLook
from flightline.overview.queues import Queues
from flightline.overview.rabbitmq_api import unacknowledged
from flightline.overview.services import look_at
from shared.platform import open_object_store
from shared.redaction import redact_text
from shared.settings import PlatformSettings
from shared.state.open import open_store

WITHIN_S = 5.0
"""For what hangs; on a machine out of breath, a backend that answers must not look like one that does not."""
CLIENTS = {"amqp": "shared.messaging.amqp", "mongodb": "shared.state.mongo", "s3": "shared.objects.s3"}
"""What takes long to import, by how URLs begin: that time is nobody's but ours."""

T = TypeVar("T")


@dataclass(frozen=True)
class _State:
    flights: Mapping[str, int] = field(default_factory=dict)
    work: Sequence[Line] = ()
    failures: Sequence[Failure] = ()


@dataclass
class Looker:
    """Looks, once or again and again."""

    settings: PlatformSettings
    services: Mapping[str, str]
    """URL by name."""
    _queues: Queues = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing known."""
        self._queues = Queues(self.settings)

    async def look(self) -> Overview:
        """Return what is found within a few seconds."""
        self._import_clients()
        nothing: tuple[Sequence[QueueLook], int] = ((), 0)
        services, (bus, (queues, unrouted)), (state, documents), (objects, _), told = await asyncio.gather(
            look_at(self.services),
            _tried("bus", self.settings.bus, self._queues.look, nothing),
            _tried("state", self.settings.state, self._documents, _State()),
            _tried("objects", self.settings.objects, self._objects, None),
            self._managed(),
        )
        management, held = told
        return Overview(
            at=datetime.now(UTC),
            backends=(bus, state, objects, *management),
            services=services,
            flights=documents.flights,
            queues=[_with_held(queue, held) for queue in queues],
            unrouted=unrouted,
            work=documents.work,
            failures=documents.failures,
        )

    def _import_clients(self) -> None:
        for url in (self.settings.bus, self.settings.state, self.settings.objects):
            for scheme, module in CLIENTS.items():
                if url.startswith(scheme):
                    importlib.import_module(module)

    async def _managed(self) -> tuple[Sequence[Backend], Mapping[str, int]]:
        """Ask the management API, where there is one, how many messages of each queue are in hand."""
        if self.settings.bus_management is None:
            return (), {}
        url = self.settings.bus_management.get_secret_value()
        nothing: Mapping[str, int] = {}
        backend, held = await _tried("management", url, lambda: unacknowledged(self.settings), nothing)
        return (backend,), held

    async def _documents(self) -> _State:
        now = datetime.now(UTC)
        async with open_store(self.settings.state) as store:
            await work.declare(store)
            return _State(
                *await asyncio.gather(
                    work.flights_by_state(store), work.open_work(store, now), work.failures(store, now)
                )
            )

    async def _objects(self) -> None:
        async with open_object_store(self.settings) as objects:
            await objects.ping()


def _with_held(queue: QueueLook, held: Mapping[str, int]) -> QueueLook:
    if queue.counts is None or queue.counts.in_hand is not None:
        return queue
    return replace(queue, counts=replace(queue.counts, in_hand=held.get(queue.name)))


async def _tried(name: str, url: str, looking: Callable[[], Awaitable[T]], otherwise: T) -> tuple[Backend, T]:
    try:
        async with asyncio.timeout(WITHIN_S):
            found = await looking()
    except TimeoutError:
        return Backend(name, ok=False, says=f"no answer within {WITHIN_S:g} s from {_place(url)}"), otherwise
    except Exception as error:  # noqa: BLE001 - whatever is amiss is what there is to say
        return Backend(name, ok=False, says=redact_text(str(error) or type(error).__name__)), otherwise
    return Backend(name, ok=True, says=_place(url)), found


def _place(url: str) -> str:
    """Return a URL as anybody may see it."""
    return redact_text(url).partition("?")[0]
