"""Server-sent events: what happens to flights, to however many watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import Request

from discovery import feed as feeding
from discovery.collections import COUNTERS, FLIGHTS, PROJECTS
from discovery.config import Settings
from discovery.domain.flights import Flight, FlightState
from discovery.domain.progress import Rates, state_told
from discovery.domain.stages import viewed
from discovery.feed import Feed
from discovery.routes.progress import router
from shared.events import ImagesStaged, TaskCompleted, new_event
from shared.events.types import Scale
from shared.messaging.codec import encode
from shared.messaging.progress import Progress
from shared.platform import Platform
from shared.service import Service, State
from shared.service.application import create_service
from shared.service.serving import serving
from shared.state import Collection
from tests.support.events import flight_found
from tests.support.project_bench import made_projects
from tests.support.trouble import eventually

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
OWNER = "X-Owner"


def flight(flight_id: str = "f1", owner: str = "ann", **fields: Any) -> Flight:
    return Flight(
        flight_id=flight_id, name="meadow", source="file:///x", owner=owner, created_at=NOW, updated_at=NOW,
        **fields,
    )  # fmt: skip


async def viewer_of(request: Request) -> str | None:
    return request.headers.get(OWNER)


@dataclass
class Watched:
    """A service that tells what happens, and the bus that it hears it from."""

    url: str
    platform: Platform
    flights: Collection[Flight]
    feed: Feed

    async def tell(self, done: int = 1, flight_id: str = "f1", **fields: Any) -> None:
        told = Progress(flight_id=flight_id, stage="ingest", done=done, total=10, **fields)
        await self.platform.transport.tell("ingest.ingest", told.model_dump_json().encode())


@asynccontextmanager
async def watched(
    on: Platform, *known: Flight, heartbeat_s: float = 15, linger_s: float = feeding.LINGER_S
) -> AsyncIterator[Watched]:
    await on.store.declare(FLIGHTS, PROJECTS, COUNTERS)
    flights = Collection(on.store, FLIGHTS, Flight)
    for one in known:
        await flights.ensure(one.flight_id, one)
    feed = Feed(on.transport, flights, linger_s=linger_s)

    @asynccontextmanager
    async def resources(service: Service) -> AsyncIterator[State]:
        service.background("feed", feed.run)
        yield {
            "flights": flights, "feed": feed, "viewer_of": viewer_of, "heartbeat_s": heartbeat_s,
            "send_within_s": 2.0, "projects": made_projects(on, "none"),
        }  # fmt: skip

    settings = Settings(port=0)
    async with serving(create_service("discovery", resources, router, settings=settings), settings) as url:
        yield Watched(url, on, flights, feed)


@dataclass
class Stream:
    """One client's connection."""

    answer: httpx.Response
    lines: AsyncIterator[str]

    async def next(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """Return the next event of a kind whose data has what is wanted, with its id."""
        async with asyncio.timeout(20):
            while True:
                event = await self._event()
                if event.get("event") == kind and wanted.items() <= event["data"].items():
                    return {**event["data"], "_id": event.get("id")}

    async def comment(self) -> str:
        async with asyncio.timeout(20):
            async for line in self.lines:
                if line.startswith(":"):
                    return line
        raise AssertionError("the stream ended")

    async def _event(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        async for line in self.lines:
            if not line and "data" in fields:
                return fields | {"data": json.loads(fields["data"])}
            name, _, value = line.partition(": ")
            fields[name] = value
        raise AssertionError("the stream ended")


@asynccontextmanager
async def following(on: Watched, path: str = "/api/progress", **headers: str) -> AsyncIterator[Stream]:
    named: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        httpx.AsyncClient(base_url=on.url, timeout=30) as http,
        http.stream("GET", path, headers=named) as answer,
    ):
        yield Stream(answer, answer.aiter_lines())


async def test_one_flights_stream_begins_with_all_that_is_known(platform: Platform) -> None:
    async with watched(platform, flight()) as on, following(on, "/api/flights/f1/events") as stream:
        known = await stream.next("flight")

        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert (known["flight_id"], known["state"]) == ("f1", "settling")
        assert [stage["state"] for stage in known["stages"]] == ["under way", "waiting", "waiting"]


async def test_progress_is_told_with_its_rate(platform: Platform) -> None:
    async with watched(platform, flight()) as on, following(on, "/api/flights/f1/events") as stream:
        await stream.next("flight")
        await on.tell(1, bytes=100)
        first = await stream.next("progress", done=1)
        await asyncio.sleep(0.2)
        await on.tell(5, bytes=900, flight_id="another")
        await on.tell(5, bytes=900)
        later = await stream.next("progress", done=5)

    assert (first["stage"], first["total"], "bytes_per_s" in first) == ("ingest", 10, False)
    assert later["flight_id"] == "f1"
    assert later["bytes_per_s"] > 0
    assert later["eta_s"] > 0


async def test_a_change_of_state_is_told(platform: Platform) -> None:
    async with watched(platform, flight()) as on, following(on) as stream:
        await stream.next("flight")
        await platform.transport.publish(encode(flight_found()))
        found = await stream.next("state")
        ended = TaskCompleted(
            task_id="t", kind="odm", name="m", status="failed", error="no", finished_at=NOW, flight_id="f1"
        )
        await platform.transport.publish(encode(new_event("t", ended)))
        failed = await stream.next("state", state="failed")

    assert (found["state"], found["version"]) == ("staging", "v1")
    assert failed["error"] == "no"


async def test_who_comes_back_hears_what_was_missed(platform: Platform) -> None:
    async with watched(platform, flight()) as on:
        async with following(on) as stream:
            await stream.next("flight")
            await on.tell(1)
            heard = await stream.next("progress", done=1)
        for done in (2, 3):
            await on.tell(done)
        async with following(on, Last_Event_ID=heard["_id"]) as again:
            assert [(await again.next("progress"))["done"] for _ in range(2)] == [2, 3]
        async with following(on, Last_Event_ID="of-another-process-7") as stranger:
            await stranger.next("flight")


async def test_nothing_is_heard_while_nobody_listens_and_who_comes_back_late_is_told_all(
    platform: Platform,
) -> None:
    async with watched(platform, flight(), linger_s=0.2) as on:
        assert not on.feed.is_hearing
        async with following(on) as stream:
            await stream.next("flight")
            await on.tell(1)
            heard = await stream.next("progress", done=1)

        async def is_deaf() -> bool:
            return not on.feed.is_hearing

        await eventually(is_deaf)
        async with following(on, Last_Event_ID=heard["_id"]) as late:
            assert (await late.next("flight"))["flight_id"] == "f1"
            await on.tell(2)
            await late.next("progress", done=2)


async def test_users_follow_their_own_flights_only(platform: Platform) -> None:
    theirs = flight("f2", "bob", state=FlightState.STAGING)
    async with watched(platform, flight(), theirs) as on, following(on, X_Owner="ann") as stream:
        assert (await stream.next("flight"))["flight_id"] == "f1"
        await on.tell(1, "f2")
        await on.tell(2, "f1")
        assert (await stream.next("progress"))["flight_id"] == "f1"
        async with httpx.AsyncClient(base_url=on.url) as http:
            hidden = await http.get("/api/flights/f2/events", headers={OWNER: "ann"})
            unknown = await http.get("/api/flights/f3/events", headers={OWNER: "ann"})
    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert hidden.json()["error"]["message"] == "there is no flight f2"


async def test_a_quiet_stream_says_that_it_lives(platform: Platform) -> None:
    async with watched(platform, heartbeat_s=0.2) as on, following(on, X_Owner="ann") as stream:
        for _ in range(2):
            await on.tell(1, "not-anns")
            assert await stream.comment() == ": still here"


async def test_sixty_hear_the_same(platform: Platform) -> None:
    async with watched(platform, flight()) as on, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(on)) for _ in range(60)]
        await asyncio.gather(*(stream.next("flight") for stream in streams))
        await on.tell(7)
        heard = await asyncio.gather(*(stream.next("progress") for stream in streams))
    assert {event["done"] for event in heard} == {7}


async def test_a_client_that_does_not_read_is_let_go_and_keeps_nobody_waiting(platform: Platform) -> None:
    async with watched(platform, flight()) as on, following(on) as reading:
        await reading.next("flight")
        host, port = on.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET /api/progress HTTP/1.1\r\nHost: x\r\n\r\n")
        await _until(lambda: len(on.feed._listeners) == 2)
        for number in range(600):
            on.feed._tell("progress", {"flight_id": "f1", "done": number, "x": "y" * 20_000})
            await asyncio.sleep(0)
            if number % 50 == 0:
                await reading.next("progress", done=number)
        await _until(lambda: len(on.feed._listeners) == 1)
        writer.close()


async def _until(reached: Any) -> None:
    async with asyncio.timeout(60):
        while not reached():
            await asyncio.sleep(0.05)


async def test_a_client_that_leaves_is_forgotten(platform: Platform) -> None:
    async with watched(platform, flight()) as on:
        async with following(on) as stream:
            await stream.next("flight")
        await _until(lambda: not on.feed._listeners)


async def test_a_service_that_ends_ends_its_streams(platform: Platform) -> None:
    async with AsyncExitStack() as stack:
        service = AsyncExitStack()
        on = await service.enter_async_context(watched(platform, flight()))
        stream = await stack.enter_async_context(following(on))
        await stream.next("flight")
        async with asyncio.timeout(15):
            await service.aclose()
            with pytest.raises(AssertionError, match="the stream ended"):
                await stream.next("state")


async def test_more_than_a_process_can_hold_are_sent_away(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "LISTENERS_AT_MOST", 1)
    async with watched(platform, flight()) as on, following(on) as stream:
        await stream.next("flight")
        async with httpx.AsyncClient(base_url=on.url) as http:
            refused = await http.get("/api/progress")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")


def test_rates_are_smooth_and_begin_again_with_a_new_attempt() -> None:
    rates = Rates()
    told = {"flight_id": "f", "stage": "s", "total": 100, "bytes": 0}
    assert "eta_s" not in rates.rated(told | {"done": 0}, 0.0)
    assert rates.rated(told | {"done": 10, "bytes": 1000}, 1.0)["bytes_per_s"] == 1000
    slower = rates.rated(told | {"done": 11, "bytes": 1100}, 2.0)
    assert 100 < slower["bytes_per_s"] < 1000
    assert "bytes_per_s" not in rates.rated(told | {"done": 0}, 3.0)


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "processing"),
        ({"options": {"skip_processing": True}}, "staged"),
        ({"scale": Scale(requested=0.5)}, "scaling"),
    ],
)
def test_staged_images_are_told_as_the_flights_own_record_has_it(fields: dict[str, Any], state: str) -> None:
    data = ImagesStaged(flight_id="f", version="v", prefix="s3://b/p", image_count=1, total_bytes=1, **fields)
    told = state_told(data)
    assert told
    assert told["state"] == state


def test_a_view_has_products_rates_and_errors() -> None:
    from discovery.domain.flights import completed, staged  # noqa: PLC0415

    event = ImagesStaged(flight_id="f1", version="v", prefix="s3://b/p", image_count=2, total_bytes=500)
    seen = staged(flight(trouble="away"), event, NOW)
    done = completed(
        seen,
        TaskCompleted(
            task_id="t", kind="odm", name="m", status="completed", finished_at=NOW, flight_id="f1",
            version="v", outputs="s3://b/out", assets=("all.zip",),
        ),
    )  # fmt: skip
    view = viewed(done)
    assert [stage.state for stage in view.stages] == ["done", "done", "done"]
    assert view.products == ("s3://b/out/all.zip",)
    assert view.errors == ("away",)
