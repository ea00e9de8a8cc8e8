from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from shared.errors import NotFoundError, TransientError
from shared.events import Event, FlightFound, ImagesStaged
from shared.logging import add_subject, add_trace
from shared.messaging.bus import Bus, open_bus
from shared.messaging.port import DeadLetter, Message
from tests.support.events import SHORT_LADDER, flight_found, one_queue

QUEUE = "ingest.flight-found"
FlightHandler = Callable[[Event[FlightFound]], Awaitable[None]]


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with open_bus(f"sqlite://{tmp_path}/bus.db", one_queue(), service="ingest") as bus:
        yield bus


class Recorder:
    """A handler that notes what came, and fails as told."""

    def __init__(self, *failures: BaseException) -> None:
        self.events: list[Event[FlightFound]] = []
        self._failures = list(failures)

    async def __call__(self, event: Event[FlightFound]) -> None:
        self.events.append(event)
        if self._failures:
            raise self._failures.pop(0)


async def dead(bus: Bus) -> list[DeadLetter]:
    return [letter async for letter in bus.transport.dead_letters(QUEUE)]


async def settled(bus: Bus, handler: FlightHandler, within_s: float = 30) -> None:
    """Consume until nothing is left, neither waiting, nor in hand, nor on the ladder."""
    consumer = bus.consumer()
    consumer.on(FlightFound, handler)
    async with consumer:
        await emptied(bus, within_s)


async def emptied(bus: Bus, within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while await left(bus):
            await asyncio.sleep(0.02)


async def left(bus: Bus) -> int:
    """Count messages in every state; ``depth`` counts only those that could be delivered now."""
    database = bus.transport._database  # type: ignore[attr-defined]
    rows = await database.read(lambda c: c.execute("SELECT count(*) FROM messages").fetchone())
    return int(rows[0])


async def test_a_handled_event_is_gone(bus: Bus) -> None:
    recorder = Recorder()
    event = flight_found()
    await bus.publish(event)

    await settled(bus, recorder)

    assert [one.model_copy(update={"traceparent": None}) for one in recorder.events] == [event]
    assert await dead(bus) == []


async def test_a_transient_failure_is_tried_again_until_it_works(bus: Bus) -> None:
    recorder = Recorder(TransientError("busy"), TransientError("still busy"))
    await bus.publish(flight_found())

    await settled(bus, recorder)

    assert len(recorder.events) == 3
    assert await dead(bus) == []


async def test_attempts_end_after_one_more_than_the_ladder_has_rungs(bus: Bus) -> None:
    recorder = Recorder(*[TransientError("busy")] * 9)
    await bus.publish(flight_found())

    await settled(bus, recorder)

    [letter] = await dead(bus)
    assert len(recorder.events) == len(SHORT_LADDER) + 1
    assert (letter.death.reason, letter.death.attempts) == ("attempts_exhausted", 3)


async def test_a_wish_to_wait_is_rounded_up_to_a_rung(bus: Bus) -> None:
    recorder = Recorder(TransientError("later", retry_after=timedelta(seconds=0.15)))
    await bus.publish(flight_found())
    started = asyncio.get_running_loop().time()

    await settled(bus, recorder)

    assert asyncio.get_running_loop().time() - started >= SHORT_LADDER[1].total_seconds()


async def test_a_wish_beyond_the_ladder_gets_its_longest_rung(bus: Bus) -> None:
    recorder = Recorder(TransientError("tomorrow", retry_after=timedelta(days=1)))
    await bus.publish(flight_found())

    await settled(bus, recorder)

    assert len(recorder.events) == 2


async def test_a_permanent_failure_is_buried_at_once(bus: Bus) -> None:
    recorder = Recorder(NotFoundError("no such system"))
    await bus.publish(flight_found())

    await settled(bus, recorder)

    [letter] = await dead(bus)
    assert (letter.death.reason, letter.death.error) == ("permanent", "NotFoundError: no such system")
    assert len(recorder.events) == 1


async def test_a_bug_is_buried_with_its_trace_and_does_not_stop_the_queue(bus: Bus) -> None:
    recorder = Recorder(ZeroDivisionError("oops"))
    await bus.publish(flight_found("f1"))
    await bus.publish(flight_found("f2"))

    await settled(bus, recorder)

    [letter] = await dead(bus)
    assert letter.death.reason == "bug"
    assert "in __call__" in letter.death.trace
    assert [event.data.flight_id for event in recorder.events] == ["f1", "f2"]


async def test_an_unreadable_message_is_buried_unseen(bus: Bus) -> None:
    recorder = Recorder()
    await bus.transport.publish(Message(b"\xff", "flight-found", "e1"))

    await settled(bus, recorder)

    [letter] = await dead(bus)
    assert (letter.death.reason, letter.message.body, recorder.events) == ("unreadable", b"\xff", [])


async def test_a_library_that_cancels_itself_counts_as_a_transient_failure(bus: Bus) -> None:
    recorder = Recorder(asyncio.CancelledError())
    await bus.publish(flight_found())

    await settled(bus, recorder)

    assert len(recorder.events) == 2


async def test_handlers_log_with_the_ids_of_their_event(bus: Bus) -> None:
    contexts = []

    async def note(_: Event[FlightFound]) -> None:
        line = add_trace(None, "info", add_subject(None, "info", {"event": "noted"}))
        contexts.append({key: line[key] for key in line if key not in ("event", "span_id")})

    event = flight_found("f7")
    await bus.publish(event)
    await settled(bus, note)

    assert contexts[0] == {
        "event_id": event.id,
        "event_type": "flight-found",
        "correlation_id": event.id,
        "flight_id": "f7",
        "trace_id": contexts[0]["trace_id"],
    }
    assert len(contexts[0]["trace_id"]) == 32


async def test_what_became_of_events_is_counted(bus: Bus) -> None:
    labels = {"service": "ingest", "type": "flight-found", "outcome": "permanent"}
    before = REGISTRY.get_sample_value("flightline_events_handled_total", labels) or 0
    await bus.publish(flight_found())

    await settled(bus, Recorder(NotFoundError("no")))

    assert REGISTRY.get_sample_value("flightline_events_handled_total", labels) == before + 1


async def test_leaving_waits_for_a_handler_within_the_grace(bus: Bus) -> None:
    started, finished = asyncio.Event(), asyncio.Event()

    async def slow(_: Event[FlightFound]) -> None:
        started.set()
        await asyncio.sleep(0.3)
        finished.set()

    await bus.publish(flight_found())
    consumer = bus.consumer()
    consumer.on(FlightFound, slow)
    async with consumer:
        await started.wait()

    assert finished.is_set()
    assert await left(bus) == 0


async def test_a_handler_beyond_the_grace_is_cancelled_and_its_event_handed_back(bus: Bus) -> None:
    started = asyncio.Event()

    async def endless(_: Event[FlightFound]) -> None:
        started.set()
        await asyncio.Event().wait()

    await bus.publish(flight_found())
    consumer = bus.consumer(grace=timedelta(seconds=0.1))
    consumer.on(FlightFound, endless)
    async with consumer:
        await started.wait()

    assert await bus.transport.depth(QUEUE) == 1


async def test_leaving_hands_back_what_nobody_began(bus: Bus) -> None:
    started = asyncio.Event()

    async def slow(_: Event[FlightFound]) -> None:
        started.set()
        await asyncio.sleep(0.1)

    for number in range(5):
        await bus.publish(flight_found(f"f{number}"))
    consumer = bus.consumer(prefetch=1)
    consumer.on(FlightFound, slow)
    async with consumer:
        await started.wait()

    assert await bus.transport.depth(QUEUE) == 4


async def test_no_more_handlers_run_than_the_prefetch(bus: Bus) -> None:
    running, most = 0, 0

    async def count(_: Event[FlightFound]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    for number in range(12):
        await bus.publish(flight_found(f"f{number}"))
    consumer = bus.consumer(prefetch=3)
    consumer.on(FlightFound, count)
    async with consumer:
        await emptied(bus)

    assert most == 3


async def test_a_consumer_says_whether_it_consumes(bus: Bus) -> None:
    consumer = bus.consumer()
    consumer.on(FlightFound, Recorder())
    before = consumer.is_consuming

    async with consumer:
        assert (before, consumer.is_consuming) == (False, True)

    assert not consumer.is_consuming


async def test_an_error_of_the_block_comes_out_as_it_is(bus: Bus) -> None:
    consumer = bus.consumer()
    consumer.on(FlightFound, Recorder())

    with pytest.raises(ZeroDivisionError):
        async with consumer:
            raise ZeroDivisionError


def test_a_type_that_is_not_in_the_topology_is_refused(bus: Bus) -> None:
    async def handle(_: Event[ImagesStaged]) -> None: ...

    with pytest.raises(ValueError, match=r"ingest\.images-staged is not in the topology"):
        bus.consumer().on(ImagesStaged, handle)


SNIPPET = """
from shared.events import Event, FlightFound, ImagesStaged
from shared.messaging.consumer import Consumer

async def stage(event: Event[FlightFound], *, folder: str, limit: int) -> None: ...

def wire(consumer: Consumer) -> None:
    consumer.on(FlightFound, stage, folder="x", limit=1)
    {line}
"""


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('consumer.on(FlightFound, stage, folder="x")', 'Missing named argument "limit"'),
        ('consumer.on(FlightFound, stage, folder="x", limits=1)', 'Unexpected keyword argument "limits"'),
        ('consumer.on(FlightFound, stage, folder="x", limit="1")', "incompatible type"),
        ('consumer.on(ImagesStaged, stage, folder="x", limit=1)', 'Cannot infer value of type parameter "D"'),
    ],
    ids=["missing", "misspelt", "ill-typed", "wrong event"],
)
def test_mypy_finds_wrong_wiring(line: str, error: str, tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET.format(line=line))

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(snippet)], capture_output=True, text=True, check=False
    )

    assert error in checked.stdout
    assert checked.stdout.count("snippet.py:8:") == 0  # the right wiring is no error
