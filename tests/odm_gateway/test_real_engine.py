"""The whole service with the built-in orthophoto engine: an event in, an orthophoto and an event out."""

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from odm_gateway.config import EngineKind
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.handlers import start_task
from odm_gateway.loops import TaskLoop
from shared.events import Event, FlightOptions, ImagesStaged, Option, new_event
from shared.messaging.codec import encode
from shared.platform import Platform
from tests.odm_gateway.test_handlers import TABLE
from tests.odm_gateway.test_kill import gateway_process
from tests.support.gateway import GatewayClient, completions, running_gateway
from tests.support.gateway_process import scripted_engine, task_loop
from tests.support.zygote import Zygote

COARSE = FlightOptions(process=(Option(name="feature-quality", value="lowest"),))


async def staged_flight(platform: Platform, folder: Path, photos: int = 6) -> Event[ImagesStaged]:
    """Make up a small flight, stage it and return the event that says so."""
    await asyncio.to_thread(simulate_flight, folder, FlightPlan(photos=photos, megapixels=0.3))
    images = sorted(folder.glob("*.JPG"))
    for image in images:
        await platform.objects.put(f"staging/f1/v1/files/{image.name}", image)
    facts = ImagesStaged(
        flight_id="f1",
        version="v1",
        name="Small field",
        prefix=platform.objects.uri("staging/f1/v1/files"),
        image_count=len(images),
        total_bytes=sum(image.stat().st_size for image in images),
        options=COARSE,
    )
    return new_event("flightline/ingest", facts)


async def listed_task(gateway: GatewayClient) -> str:
    """Return the id of the only task, once there is one."""
    for _ in range(1000):
        if tasks := await gateway.get("/task/list"):
            return str(tasks[0]["uuid"])
        await asyncio.sleep(0.05)
    raise AssertionError


async def reached(loop: TaskLoop, key: str, percent: float) -> Task:
    for _ in range(1200):
        if (task := (await loop.tasks.load(key)).body).progress >= percent:
            return task
        await asyncio.sleep(0.05)
    raise AssertionError(task)


async def test_a_staged_flight_becomes_an_orthophoto(tmp_path: Path) -> None:
    async with running_gateway(tmp_path / "home", engine=EngineKind.LOCAL) as gateway:
        event = await staged_flight(gateway.platform, tmp_path / "flight")
        await gateway.platform.transport.publish(encode(event))
        uuid = await listed_task(gateway)
        assert (await gateway.finished(uuid, within_s=90))["status"] == {"code": 40}
        tiff = await gateway.http.get(f"/task/{uuid}/download/orthophoto.tif")
        [told] = await completions(gateway.platform)
    assert tiff.content[:4] in (b"II*\0", b"II+\0")
    assert (told.correlation, told.data.flight_id, told.data.status) == (event.id, "f1", "completed")
    assert "odm_orthophoto/odm_orthophoto.tif" in told.data.assets


@pytest.mark.long
async def test_killed_at_any_stage_the_orthophoto_is_finished_once(
    forking: Zygote, platform: Platform, tmp_path: Path
) -> None:
    loop = await task_loop(platform, scripted_engine(platform, "real"))
    event = await staged_flight(platform, tmp_path / "flight", photos=12)
    await start_task(
        event, tasks=loop.tasks, objects=loop.objects, options=TABLE, max_images=None, wake=loop.wake
    )
    [document] = (await loop.tasks.find({})).items
    for percent in (8, 30, 60, 90):
        with gateway_process(forking, platform.settings.home, "real"):
            await reached(loop, document.id, percent)
    with gateway_process(forking, platform.settings.home, "real"):
        task = await reached(loop, document.id, 100)
    assert task.status is Status.COMPLETED
    assert len({event.id for event in await completions(platform)}) == 1
    for asset in task.assets:
        stored = await platform.objects.stat(f"products/{task.id}/{asset}")
        assert stored is not None
        assert sha256(await platform.objects.read(stored.key)).hexdigest() == stored.sha256
