"""What stays behind: links to results, results that expire, flights that are shown, and calls for workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import httpx
import pytest
from fastapi import FastAPI, Request

from datalab.domain.asked import State
from datalab.domain.users import Caller
from datalab.execution.events import CALLS
from datalab.execution.finishing import Finishing
from datalab.execution.storing import Storing, prefix_of
from datalab.operations.operation import OperationError
from datalab.routes import results
from shared.events import TaskCompleted, new_event
from shared.messaging.background import background
from shared.messaging.codec import encode
from shared.platform import Platform
from shared.service.faults import add_error_answers
from tests.datalab.execution.conftest import BOB, Lab, frames, opened, running_lab
from tests.support.archive import ArchiveSimulator
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server

SOON = timedelta(seconds=0.2)


class Sessions:
    """Remembers the sessions of flights."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, str, Sequence[Any]]] = []

    async def for_flight(self, owner: str, flight: str, name: str, items: Sequence[Any]) -> None:
        self.made.append((owner, flight, name, items))


@pytest.fixture
async def client(lab: Lab) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to the route of results."""
    app = FastAPI()
    app.include_router(results.router)
    add_error_answers(app)

    @app.middleware("http")
    async def with_state(request: Request, call_next: Any) -> Any:
        request.state.links, request.state.objects = lab.execution.links, lab.platform.objects
        return await call_next(request)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://lab.test") as client:
        yield client


async def test_links_open_results_of_a_folder(lab: Lab, client: httpx.AsyncClient) -> None:
    shown = await lab.ended(await lab.ask("Sum", frames("frame1")))
    assert shown.output is not None
    (file,) = shown.output["output_files"]

    answer = await client.get(file["fits_url"])

    assert (answer.status_code, answer.content) == (200, b"100 0")
    assert answer.headers["content-length"] == "5"
    picture = await client.head(file["small_url"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    again = await client.get(file["fits_url"], headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_links_that_were_not_made_here_open_nothing(lab: Lab, client: httpx.AsyncClient) -> None:
    shown = await lab.ended(await lab.ask("Sum", frames("frame1")))
    assert shown.output is not None
    url: str = shown.output["output_files"][0]["fits_url"]
    changed = {
        "signature": url[:-1] + ("0" if url[-1] != "0" else "1"),
        "no signature": url.split("?", maxsplit=1)[0],
        "later": url.replace("expires=1", "expires=2"),
        "another object": url.replace(".fits", "-small.jpg"),
        "another path": url.replace("/datalab/", "/datalab/%2e%2e/datalab/"),
    }

    statuses = {name: (await client.get(other)).status_code for name, other in changed.items()}

    assert statuses == dict.fromkeys(changed, 404)


async def test_links_of_a_bucket_are_its_own_and_the_same_for_a_while(
    tmp_path: Path, archive: ArchiveSimulator, s3: S3Server
) -> None:
    keys = {"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY, "s3_region": REGION}
    store = {"objects": f"s3://{s3.new_bucket()}/flightline", "s3_endpoint": s3.endpoint_url}
    async with (
        opened(tmp_path / "home", **store, **keys) as platform,
        running_lab(platform, archive) as lab,
    ):
        operation = await lab.ask("Sum", frames("frame1"))
        shown, again = await lab.ended(operation), await lab.shown(operation)

    assert shown.output is not None
    url = shown.output["output_files"][0]["fits_url"]
    assert url.startswith(s3.endpoint_url)
    assert "X-Amz-Expires=604800" in urlsplit(url).query
    assert again.output == shown.output
    assert await asyncio.to_thread(lambda: urlopen(url, timeout=10).read()) == b"100 0"


async def test_results_that_nobody_points_to_expire(platform: Platform, archive: ArchiveSimulator) -> None:
    async with running_lab(platform, archive, keep_results=SOON) as lab:
        hers = await lab.ask("Sum", frames("frame1"))
        his = await lab.ask("Sum", frames("frame1"), BOB)
        ended = [await lab.ended(hers), await lab.ended(his)]
        await lab.execution.operations.forget(ended[0].operation)
        await asyncio.sleep(2.5)
        assert [one async for one in lab.platform.objects.list(prefix_of(hers.key))]

        await lab.execution.operations.forget(ended[1].operation)

        async with asyncio.timeout(20):
            while await lab.computations.get(hers.key):
                await asyncio.sleep(0.05)
        assert [one async for one in lab.platform.objects.list(prefix_of(hers.key))] == []
        again = await lab.ask("Sum", frames("frame1"))
        assert (await lab.ended(again)).state is State.COMPLETED


async def test_a_flight_that_was_processed_is_shown(platform: Platform, archive: ArchiveSimulator) -> None:
    sessions = Sessions()
    stored = await platform.objects.put("products/t1/odm_orthophoto/odm_orthophoto.tif", b"\x03")
    done = {
        "task_id": "t1",
        "kind": "odm",
        "name": "meadow",
        "status": "completed",
        "outputs": platform.objects.uri("products/t1"),
        "assets": ("all.zip", "odm_dem/dsm.tif", "odm_orthophoto/odm_orthophoto.tif"),
        "finished_at": "2026-11-22T00:00:00Z",
        "flight_id": "f1",
    }
    async with running_lab(platform, archive, sessions, flight_owner="alice") as lab:
        for change in ({"flight_id": None}, {"status": "failed"}, {"outputs": "s3://other/products/t1"}, {}):
            event = new_event("flightline/odm-gateway", TaskCompleted.model_validate(done | change))
            await platform.transport.publish(encode(event))
        async with asyncio.timeout(10):
            while not sessions.made:
                await asyncio.sleep(0.02)
        (owner, flight, name, items) = sessions.made[0]
        assert (owner, flight, name) == ("alice", "f1", "meadow")
        assert [item["basename"] for item in items] == [
            "t1/odm_dem/dsm.tif",
            "t1/odm_orthophoto/odm_orthophoto.tif",
        ]
        operation = await lab.ask("Sum", {"input_files": [items[1]]})
        assert (await lab.ended(operation)).state is State.COMPLETED
        for caller in (BOB, Caller("")):
            with pytest.raises(OperationError, match="There is no product"):
                await lab.ask("Sum", {"input_files": [items[1]]}, caller)
    assert stored.size_bytes == 1


async def test_calls_wait_in_the_queue_as_long_as_workers_have_no_room(
    platform: Platform, archive: ArchiveSimulator
) -> None:
    async with running_lab(platform, archive, workers=0) as lab:
        for number in range(5):
            await lab.ask("Sum", frames("frame1") | {"take_s": 60 + number})
        async with asyncio.timeout(10):
            while await platform.transport.depth(CALLS.queue) < 5:
                await asyncio.sleep(0.02)

    async with running_lab(platform, archive, workers=1) as lab:
        operations = [document.body for document in (await lab.operations.find({})).items]
        busy = None
        async with asyncio.timeout(10):
            while busy is None:
                shown = await lab.execution.operations.shown(operations, base_url="")
                busy = next((one for one in shown if one.state is State.IN_PROGRESS), None)
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        assert await platform.transport.depth(CALLS.queue) >= 3
        states = [one.state for one in await lab.execution.operations.shown(operations, base_url="")]
        assert states.count(State.IN_PROGRESS) == 1


async def test_a_call_that_was_lost_is_made_again(platform: Platform, archive: ArchiveSimulator) -> None:
    async with running_lab(platform, archive, workers=0) as lab:
        await lab.ask("Sum", frames("frame1"))
        async with asyncio.timeout(10), platform.transport.consume(CALLS.queue, prefetch=1) as deliveries:
            await (await anext(deliveries)).ack()
            finishing = Finishing(
                lab.execution.operations.wanting,
                lab.execution.operations.line,
                Storing(platform.objects),
                platform.transport,
                "another",
                lease=timedelta(seconds=5),
                keep=timedelta(days=1),
                call_after_s=0.0,
                call_every_s=0.1,
            )
            async with background(finishing.call_again()):
                await (await anext(deliveries)).ack()
