"""Pause, resume, cancel and retry over HTTP, while images are scaled; and what jobs look like there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
from pydantic import SecretStr

from scaler.config import Settings
from scaler.main import create_app
from shared.events import ImagesStaged, TaskCompleted
from shared.messaging.progress import Progress
from shared.platform import Platform
from shared.service.serving import serving
from tests.scaler.jobs.conftest import Scaler, stage
from tests.scaler.pictures import jpeg
from tests.support.listening import heard

JOB = "f.1.2x"


@asynccontextmanager
async def scaler_api(on: Platform, **settings: Any) -> AsyncIterator[tuple[Scaler, httpx.AsyncClient]]:
    chosen = Settings(port=0, **settings)
    async with (
        serving(create_app(chosen, on), chosen) as url,
        httpx.AsyncClient(base_url=f"{url}/api/jobs/", timeout=20) as http,
    ):
        yield Scaler(on), http


async def until(
    http: httpx.AsyncClient, wanted: Callable[[dict[str, Any]], bool], within_s: float = 40
) -> dict[str, Any]:
    """Return the job once it is as wanted."""
    async with asyncio.timeout(within_s):
        while True:
            answer = await http.get(JOB)
            if answer.status_code == 200 and wanted(found := answer.json()):
                return dict(found)
            await asyncio.sleep(0.02)


def large(count: int) -> dict[str, bytes]:
    """Return images that keep a codec busy for a moment each."""
    return {f"{number:02}.jpg": jpeg(number, width=1000, height=752) for number in range(count)}


async def test_a_job_is_paused_in_the_middle_and_goes_on_there(platform: Platform) -> None:
    async with scaler_api(platform, images_at_once=1) as (scaler, http):
        await scaler.tell(await stage(platform, large(12)))
        await until(http, lambda job: job["images_done"] >= 2)
        paused = (await http.post(f"{JOB}/pause")).json()
        again = (await http.post(f"{JOB}/pause")).json()
        await asyncio.sleep(0.4)
        still = (await http.get(JOB)).json()
        await asyncio.sleep(0.3)
        later = (await http.get(JOB)).json()
        resumed = (await http.post(f"{JOB}/resume")).json()
        done = await until(http, lambda job: job["state"] == "done")

    assert (paused["state"], again["state"], resumed["state"]) == ("paused", "paused", "scaling")
    assert still["images_done"] == later["images_done"] < 12
    assert (done["images_done"], done["images_rejected"], done["error"]) == (12, 0, None)
    assert done["bytes_done"] == done["bytes_total"]


async def test_a_canceled_job_is_told_of_and_leaves_nothing(platform: Platform) -> None:
    async with scaler_api(platform, images_at_once=1) as (scaler, http):
        await scaler.tell(await stage(platform, large(12)))
        await until(http, lambda job: job["images_done"] >= 2)
        canceled = (await http.post(f"{JOB}/cancel")).json()
        (told,) = await heard(platform, TaskCompleted, at_least=1)
        async with asyncio.timeout(20):
            while [one async for one in platform.objects.list("staging/f/1/scaled-2x/")] or (
                await scaler.pieces.count({"job": JOB})
            ):
                await asyncio.sleep(0.05)
        originals = [one.key async for one in platform.objects.list("staging/f/1/files/")]
        refused = await http.post(f"{JOB}/resume")
        await scaler.tell(await stage(platform, {"1.jpg": jpeg(1)}, rerun=1))
        anew = await until(http, lambda job: job["state"] == "done")

    assert canceled["state"] == "canceled"
    assert (told.data.kind, told.data.status) == ("scaler", "canceled")
    assert len(originals) == 12
    assert refused.status_code == 409
    assert anew["images_done"] == 1


async def test_images_that_are_replaced_while_they_are_scaled_are_scaled_anew(platform: Platform) -> None:
    new = {path: jpeg(90 + number, width=1000, height=752) for number, path in enumerate(large(6))}
    async with scaler_api(platform, images_at_once=2) as (scaler, http):
        await scaler.tell(await stage(platform, large(6)))
        await until(http, lambda job: job["images_done"] >= 1)
        await scaler.tell(await stage(platform, new, rerun=1))
        await until(http, lambda job: job["state"] == "done")
        told = [event.data.rerun for event in await heard(platform, ImagesStaged, at_least=4)]
        plans = {one.body.plan for one in (await scaler.pieces.find({"job": JOB})).items}
        outcomes = [one.body.outcomes[0] for one in (await scaler.pieces.find({"job": JOB})).items]
    assert {outcome.path: outcome.source_sha256 for outcome in outcomes} == {
        path: sha256(content).hexdigest() for path, content in new.items()
    }
    for outcome in outcomes:
        content = await platform.objects.read(outcome.key or "")
        assert sha256(content).hexdigest() == outcome.sha256
    assert (len(plans), sorted(told)) == (1, [0, 0, 1, 1])


async def test_what_failed_is_retried_on_demand(platform: Platform) -> None:
    bad = {"1.jpg": jpeg(1), "2.jpg": b"", "3.jpg": b""}
    async with scaler_api(platform) as (scaler, http):
        await scaler.tell(await stage(platform, bad))
        failed = await until(http, lambda job: job["state"] == "failed")
        await stage(platform, {"1.jpg": jpeg(1), "2.jpg": jpeg(2), "3.jpg": jpeg(3)})
        await http.post(f"{JOB}/retry-failed")
        done = await until(http, lambda job: job["state"] == "done")
        event = await scaler.scaled()
        refused = await http.post(f"{JOB}/retry-failed")

    assert failed["rejected"] == {"zero-bytes": 2}
    assert (done["images_done"], event.data.rerun) == (3, 0)
    assert refused.status_code == 409


async def test_jobs_are_listed_filtered_sorted_and_paged(platform: Platform) -> None:
    async with scaler_api(platform) as (scaler, http):
        for flight in ("a", "b", "c"):
            await scaler.tell(await stage(platform, {"1.jpg": jpeg(1)}, flight=flight))
            await scaler.scaled()
        first = (await http.get("", params={"limit": 2})).json()
        second = (await http.get("", params={"limit": 2, "after": first["cursor"]})).json()
        one = (await http.get("", params={"flight_id": "b", "state": "done", "kind": "flight"})).json()
        none = (await http.get("", params={"state": "failed"})).json()
        oldest = (await http.get("", params={"sort": "created_at"})).json()
        wrong = [
            await http.get("", params=asked) for asked in ({"after": "x"}, {"limit": 0}, {"sort": "size"})
        ]
        missing = [await http.get("none"), await http.get("none/files"), await http.post("none/pause")]
    names = [[job["flight_id"] for job in page["jobs"]] for page in (first, second, one, none, oldest)]
    assert names == [["c", "b"], ["a"], ["b"], [], ["a", "b", "c"]]
    assert second["cursor"] is None
    assert [answer.status_code for answer in wrong] == [400, 422, 422]
    assert {answer.status_code for answer in missing} == {404}


async def test_files_tell_what_became_of_each_image(platform: Platform) -> None:
    images = {f"{number:02}.jpg": jpeg(number) for number in range(30)} | {"bad.jpg": b"no image"}
    async with scaler_api(platform) as (scaler, http):
        await scaler.tell(await stage(platform, images))
        await scaler.scaled()
        pages = [(await http.get(f"{JOB}/files", params={"limit": 20})).json()]
        pages.append(
            (await http.get(f"{JOB}/files", params={"limit": 20, "after": pages[0]["cursor"]})).json()
        )
        rejected = (await http.get(f"{JOB}/files", params={"state": "rejected"})).json()["files"]
        result = await http.get(f"{JOB}/result")

    files = [file for page in pages for file in page["files"]]
    assert ([file["path"] for file in files], pages[1]["cursor"]) == (sorted(images), None)
    assert {file["state"] for file in files if file["path"] != "bad.jpg"} == {"scaled"}
    assert [(file["path"], file["code"], file["key"]) for file in rejected] == [
        ("bad.jpg", "not-an-image", None)
    ]
    assert result.status_code == 409


async def test_everything_needs_the_token_where_there_is_one(platform: Platform) -> None:
    async with scaler_api(platform, token=SecretStr("secret")) as (_, http):
        answers = [
            await http.get(""),
            await http.get("x"),
            await http.post("x/pause"),
            await http.get("x/files"),
        ]
        answers.append(await http.post(f"{http.base_url.join('/api/scale')}", content=b""))
        let_in = await http.get("", headers={"Authorization": "Bearer secret"})
    assert {answer.status_code for answer in answers} == {401}
    assert let_in.status_code == 200


async def test_progress_is_told_while_images_are_scaled(platform: Platform) -> None:
    told: list[Progress] = []

    async def listen() -> None:
        async with platform.transport.hear() as heard_now:
            listening.set()
            async for body in heard_now:
                told.append(  # noqa: PERF401 - one by one, until cancelled
                    Progress.model_validate_json(body)
                )

    listening = asyncio.Event()
    listener = asyncio.create_task(listen())
    await listening.wait()
    async with scaler_api(platform) as (scaler, _):
        await scaler.tell(await stage(platform, large(6)))
        await scaler.scaled()
    async with asyncio.timeout(30):
        while not (told and told[-1].is_last):
            await asyncio.sleep(0.02)
    listener.cancel()
    assert {(one.flight_id, one.stage, one.total) for one in told} == {("f", "scaling", 6)}
    assert [one.done for one in told] == sorted(one.done for one in told)


async def test_a_killed_store_of_work_is_taken_over_when_its_lease_lapses(platform: Platform) -> None:
    async with scaler_api(platform, lease=timedelta(seconds=2), images_at_once=1) as (scaler, _):
        ask = await stage(platform, large(4))
        taken = None
        await scaler.tell(ask)
        async with asyncio.timeout(20):
            while taken is None:
                taken = await scaler.pieces.claim(
                    {"state": "open"}, owner="another host/1", hold=timedelta(seconds=2)
                )
                await asyncio.sleep(0.01)
        event = await scaler.scaled()
    assert event.data.image_count == 4
    assert isinstance(event.data, ImagesStaged)
