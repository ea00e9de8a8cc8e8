"""Images and products on their way to a WebODM, whatever happens."""

from __future__ import annotations

import asyncio
import signal
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from discovery.adapters.webodm import open_webodm
from discovery.collections import COUNTERS, PROJECTS
from discovery.domain.flights import Flight
from discovery.domain.projects import (
    Delivery,
    DeliveryState,
    ProjectState,
    project_key,
)
from discovery.project_keeping import Keeper
from discovery.projects import Projects
from shared.events import FlightOptions, ImagesStaged, Option, TaskCompleted, new_event
from shared.events.types import Scale
from shared.objects.file import FileObjects
from shared.platform import Platform
from tests.support.dying import Doom, Dying, KilledError
from tests.support.project_bench import (
    NOW,
    QUICK,
    Presigning,
    bench,
    images,
    known_flight,
    made_projects,
    parts,
    staged,
)
from tests.support.webodm import Kind, WebODMServer, webodm_server

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WebODMServer]:
    async with webodm_server(tmp_path / "webodm") as server:
        yield server


async def test_images_are_uploaded_whole_and_processed(platform: Platform, server: WebODMServer) -> None:
    known = await known_flight(platform)
    files = images(20) | {"code/gcp_list.txt": b"EPSG:4326", "code/images/b/000.JPG": b"other"}
    event = await staged(
        platform, known, files, options=FlightOptions(process=(Option(name="fast", value=True),))
    )
    async with bench(platform, server) as on:
        project, _ = await on.projects.ensure(known, "ann")
        await on.projects.note_staged(new_event("t", event))
        await on.projects.note_staged(new_event("t", event))
        await on.delivered(project.key)
    task = await server.settled(server.only_task())

    kept = task.images()
    assert sorted(kept.values()) == sorted(files.values())
    assert len(kept) == 22
    assert (kept["000.jpg"], task.partial, task.status) == (files["code/images/000.jpg"], False, 40)
    assert task.options == [{"name": "fast", "value": True}]


async def test_staged_images_without_a_manifest_are_uploaded_too(
    platform: Platform, server: WebODMServer
) -> None:
    known = await known_flight(platform, owner="ann")
    event = await staged(platform, known, images(2))
    async with bench(platform, server) as on:
        await platform.objects.delete(platform.objects.key(event.manifest or ""))
        await on.projects.note_staged(new_event("t", event.model_copy(update={"manifest": None})))
        await on.delivered(project_key(known.flight_id, "ann"))

    assert len(server.only_task().images()) == 2


async def test_images_that_still_have_to_be_scaled_are_left_alone(
    platform: Platform, server: WebODMServer
) -> None:
    known = await known_flight(platform)
    event = await staged(platform, known, images(2), scale=Scale(requested=0.5))
    async with bench(platform, server) as on:
        project, _ = await on.projects.ensure(known, "")
        await on.projects.note_staged(new_event("t", event))
        assert not (await on.keeper.projects.load(project.key)).body.deliveries


@pytest.mark.parametrize(
    "kind", [Kind.CUT_AFTER, Kind.CUT_BEFORE, Kind.CUT_DURING, Kind.EXPIRED, Kind.STATUS]
)
@pytest.mark.parametrize("path", ["tasks/$", "upload/$", "commit/$"])
async def test_an_upload_outlives_every_fault(
    platform: Platform, server: WebODMServer, kind: Kind, path: str
) -> None:
    known = await known_flight(platform)
    event = await staged(platform, known, images(20))
    server.faults.plan(kind, "POST", path=path, times=2)
    async with bench(platform, server) as on:
        project, _ = await on.projects.ensure(known, "")
        await on.projects.note_staged(new_event("t", event))
        await on.delivered(project.key)
    task = server.only_task()

    assert (len(task.images()), task.partial) == (20, False)
    assert sorted(task.images().values()) == sorted(images(20).values())


async def test_an_upload_whose_task_somebody_deleted_is_given_up(
    platform: Platform, server: WebODMServer
) -> None:
    known = await known_flight(platform)
    event = await staged(platform, known, images(20))
    fault = server.faults.plan(Kind.SLOW, "POST", path="upload/$", times=4)
    fault.until.clear()
    async with bench(platform, server) as on:
        project, _ = await on.projects.ensure(known, "")
        await on.projects.note_staged(new_event("t", event))
        await on.project(project.key, lambda one: one.deliveries[0].webodm_task_id is not None)
        server.library.remove_task(server.only_task())
        fault.until.set()
        after = await on.delivered(project.key, DeliveryState.DELETED)

    assert after.state is ProjectState.CREATED
    assert not [task for made in server.projects for task in made.tasks]


async def test_staged_files_that_are_gone_fail_the_upload_until_a_sync(
    platform: Platform, server: WebODMServer
) -> None:
    known = await known_flight(platform)
    event = await staged(platform, known, images(2))
    await platform.objects.delete(f"flights/{known.flight_id}/input/code/images/001.jpg")
    async with bench(platform, server) as on:
        project, _ = await on.projects.ensure(known, "")
        await on.projects.note_staged(new_event("t", event))
        failed = await on.delivered(project.key, DeliveryState.FAILED)
        assert failed.deliveries[0].reason == "the staged file code/images/001.jpg is gone"

        await staged(platform, known, images(2))
        assert failed.project_id is not None
        await on.projects.sync(failed.project_id, "")
        await on.delivered(project.key)
    assert len(server.only_task().images()) == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
async def test_an_end_at_any_write_leaves_one_project_and_one_task(
    platform: Platform, server: WebODMServer, at: int, *, after: bool
) -> None:
    known = await known_flight(platform)
    event = await staged(platform, known, images(20))
    await platform.store.declare(PROJECTS, COUNTERS)
    doom = Doom(at, after)
    dying: Any = Dying(platform.store, doom)
    mortal = replace(platform, store=dying)
    async with open_webodm(server.url, "pilot", SecretStr("pilot's"), timeouts=QUICK) as webodm:
        projects, keeper, _ = parts(mortal, webodm, "webodm")
        with pytest.raises(KilledError):
            await _one_life(projects, keeper, known, event)
    async with bench(platform, server) as on:
        await on.projects.ensure(known, "ann")
        await on.projects.note_staged(new_event("t", event))
        await on.delivered(project_key(known.flight_id, "ann"))

    assert len(server.projects) == 1
    assert len(server.only_task().images()) == 20


@asynccontextmanager
async def keeper_process(home: Path, url: str) -> AsyncIterator[None]:
    """Run a keeper of its own, and kill it at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.keeper_process", str(home), url, cwd=ROOT
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def test_a_killed_keepers_upload_is_finished_by_its_successors(
    platform: Platform, server: WebODMServer
) -> None:
    known = await known_flight(platform)
    event = await staged(platform, known, images(100))
    await platform.store.declare(PROJECTS, COUNTERS)
    projects = made_projects(platform, "webodm")
    projects.patience = timedelta()
    key = (await projects.ensure(known, "ann"))[0].key
    await projects.note_staged(new_event("t", event))

    async def uploaded(count: int) -> None:
        async with asyncio.timeout(40):
            while server.count("POST", "upload/") < count:
                await asyncio.sleep(0.01)

    server.faults.plan(Kind.SLOW, "POST", path="upload/$", times=60, delay_s=0.05)
    for count in (1, 50):
        async with keeper_process(platform.settings.home, server.url):
            await uploaded(count)
    async with keeper_process(platform.settings.home, server.url), asyncio.timeout(60):
        while (await projects.projects.load(key)).body.deliveries[0].state is not DeliveryState.DONE:
            await asyncio.sleep(0.05)

    assert len(server.projects) == 1
    assert sorted(server.only_task().images().values()) == sorted(images(100).values())
    assert not server.only_task().partial


async def _one_life(projects: Projects, keeper: Keeper, known: Flight, event: ImagesStaged) -> None:
    projects.patience = timedelta()
    await projects.ensure(known, "ann")
    await projects.note_staged(new_event("t", event))
    while document := await keeper.projects.claim({}, owner="mortal", hold=timedelta(milliseconds=1)):
        await keeper.attend(document)


def zip_of(name: str) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, b"tiff" * 100)
    return content.getvalue()


def completed(on: Platform, known: Flight, **fields: Any) -> TaskCompleted:
    given: dict[str, Any] = {"status": "completed", "assets": ("all.zip", "orthophoto.tif"), **fields}
    return TaskCompleted(
        task_id="t1",
        kind="odm",
        name="Flight1",
        outputs=on.objects.uri("products/t1"),
        finished_at=NOW,
        flight_id=known.flight_id,
        version="v1",
        **given,
    )


@pytest.fixture
async def shown(platform: Platform, unused_tcp_port: int) -> AsyncIterator[Platform]:
    """A platform whose objects have URLs."""
    objects = platform.objects

    async def answer(request: web.Request) -> web.Response:
        assert "X-Amz-Signature" in request.query
        return web.Response(body=await objects.read(request.match_info["key"]))

    app = web.Application()
    app.router.add_get("/{key:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    assert isinstance(objects, FileObjects)
    objects.__class__ = Presigning
    Presigning.url = f"http://127.0.0.1:{unused_tcp_port}"
    yield platform
    await runner.cleanup()


async def test_products_are_imported_by_a_presigned_url_once(shown: Platform, server: WebODMServer) -> None:
    known = await known_flight(shown, owner="ann")
    await shown.objects.put("products/t1/all.zip", zip_of("odm_orthophoto/odm_orthophoto.tif"))
    server.faults.plan(Kind.CUT_AFTER, "POST", path="import$")
    async with bench(shown, server, "pipeline") as on:
        for _ in range(2):
            await on.projects.note_completed(new_event("t", completed(shown, known)))
        await on.delivered(project_key(known.flight_id, "ann"))
    task = server.only_task()

    assert (task.name, task.status) == ("Flight1, 2026-05-01 12:00:00", 40)
    assert task.available_assets


async def test_products_that_cannot_be_imported_fail_with_webodms_reason(
    shown: Platform, server: WebODMServer
) -> None:
    known = await known_flight(shown, owner="ann")
    await shown.objects.put("products/t1/all.zip", b"no zip")
    async with bench(shown, server, "pipeline") as on:
        await on.projects.note_completed(new_event("t", completed(shown, known)))
        project = await on.delivered(project_key(known.flight_id, "ann"), DeliveryState.FAILED)

    assert "Invalid zip file" in (project.deliveries[0].reason or "")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({}, "set DISCOVERY_GATEWAY_URL"), ({"assets": ("orthophoto.tif",)}, "have no all.zip")],
)
async def test_products_without_a_url_are_skipped_with_a_reason(
    platform: Platform, server: WebODMServer, fields: dict[str, Any], reason: str
) -> None:
    known = await known_flight(platform, owner="ann")
    async with bench(platform, server, "pipeline") as on:
        await on.projects.note_completed(new_event("t", completed(platform, known, **fields)))
        project = await on.delivered(project_key(known.flight_id, "ann"), DeliveryState.SKIPPED)

    assert reason in (project.deliveries[0].reason or "")
    assert not [task for made in server.projects for task in made.tasks]


async def test_failed_tasks_and_data_sessions_bring_nothing(platform: Platform, server: WebODMServer) -> None:
    known = await known_flight(platform)
    async with bench(platform, server, "pipeline") as on:
        project, _ = await on.projects.ensure(known, "")
        for fields in ({"status": "failed", "outputs": None}, {"kind": "datalab"}):
            event = completed(platform, known).model_copy(update=fields)
            await on.projects.note_completed(new_event("t", event))
        assert not (await on.keeper.projects.load(project.key)).body.deliveries


async def test_products_wait_for_a_webodm_that_is_down(shown: Platform, server: WebODMServer) -> None:
    known = await known_flight(shown, owner="ann")
    await shown.objects.put("products/t1/all.zip", zip_of("odm_orthophoto/odm_orthophoto.tif"))
    async with bench(shown, server, "pipeline") as on:
        await server.stop()
        await on.projects.note_completed(new_event("t", completed(shown, known)))
        key = project_key(known.flight_id, "ann")
        await on.project(key, lambda one: one.trouble is not None)
        await server.start()
        await on.delivered(key)
    assert server.only_task().status == 40


def test_a_delivery_is_known_by_what_it_brings() -> None:
    first = Delivery(kind="images", version="v1", name="F v1", place="s3://b/p")
    assert first.key_tag == first.model_copy(update={"state": DeliveryState.DONE}).key_tag
    assert first.key_tag != first.model_copy(update={"rerun": 1}).key_tag
