"""How long tasks and what belongs to them are kept."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from typing_extensions import override

from odm_gateway.adapters.simulated_engine import SimulatedEngine
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.tasks import Status, Task, ended, removed, restarted
from odm_gateway.loops import TASKS, TaskLoop
from odm_gateway.ports import Job
from odm_gateway.retention import Retention
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform
from shared.state import Collection, Document
from tests.support.gateway import GatewayClient, running_gateway
from tests.support.gateway_process import task_loop

CLEANUP = timedelta(days=2)
NOW = datetime.now(UTC)
LONG_AGO = NOW - CLEANUP - timedelta(seconds=1)


async def loop_of(platform: Platform) -> TaskLoop:
    return await task_loop(platform, SimulatedEngine(platform.objects))


async def finished_task(loop: TaskLoop, task_id: str, at: datetime = LONG_AGO, **changes: Any) -> str:
    facts = {"id": task_id, "created_at": at, "inserted_us": 1, "images": "mine/flight", "untidy": True}
    task = Task.model_validate({**facts, **changes})
    assets = ("all.zip", "odm_dem/dsm.tif")
    await loop.tasks.insert(task_key(task_id), ended(task, Status.COMPLETED, at, assets=assets))
    return task_key(task_id)


async def put(platform: Platform, *keys: str) -> None:
    for key in keys:
        await platform.objects.put(key, b"x")


async def keys(platform: Platform) -> list[str]:
    return [stored.key async for stored in platform.objects.list("")]


async def clean_up(loop: TaskLoop, cleanup: timedelta | None = CLEANUP) -> None:
    await Retention(loop.tasks, cleanup).remove_expired()
    await loop.tidy_all()


async def test_tasks_go_when_their_time_is_over_with_all_that_is_theirs(platform: Platform) -> None:
    loop = await loop_of(platform)
    await finished_task(loop, "Old")
    await put(platform, "products/Old/all.zip", "products/Old/tiles/1.png", "uploads/old/a.jpg")
    await put(platform, "mine/flight/a.jpg", "products/Older/all.zip", "uploads/older/a.jpg")
    await clean_up(loop)
    assert await keys(platform) == ["mine/flight/a.jpg", "products/Older/all.zip", "uploads/older/a.jpg"]
    assert await loop.tasks.get("old") is None


async def test_tasks_that_are_younger_or_open_stay(platform: Platform) -> None:
    loop = await loop_of(platform)
    await finished_task(loop, "young", datetime.now(UTC) - CLEANUP + timedelta(minutes=10))
    await loop.tasks.insert("open", Task(id="open", created_at=LONG_AGO, inserted_us=1, images="x"))
    await put(platform, "products/young/all.zip")
    await clean_up(loop)
    assert (await loop.tasks.load("young")).body.removing is False
    assert (await loop.tasks.load("open")).body.status is Status.QUEUED
    assert await keys(platform) == ["products/young/all.zip"]


async def test_without_a_time_tasks_are_kept_for_ever(platform: Platform) -> None:
    loop = await loop_of(platform)
    await finished_task(loop, "old")
    for cleanup in (None, timedelta()):
        await clean_up(loop, cleanup)
    assert (await loop.tasks.load("old")).body.removing is False


async def test_of_a_prefix_that_its_user_chose_only_products_go(platform: Platform) -> None:
    loop = await loop_of(platform)
    await finished_task(loop, "old", products="mine/results", earlier_assets=("odm_dem/dtm.tif",))
    made = ["mine/results/all.zip", "mine/results/odm_dem/dsm.tif", "mine/results/odm_dem/dtm.tif"]
    await put(platform, *made, "mine/results/notes.txt", "products/old/not-of-this-task")
    await clean_up(loop)
    assert await keys(platform) == ["mine/results/notes.txt", "products/old/not-of-this-task"]


async def test_what_is_expired_is_not_told_as_an_end(platform: Platform) -> None:
    loop = await loop_of(platform)
    await finished_task(loop, "old")
    await Retention(loop.tasks, CLEANUP).remove_expired()
    assert (await loop.tasks.load("old")).record.outbox == ()


async def test_many_tasks_go_at_once_and_a_task_that_cannot_be_read_keeps_none(platform: Platform) -> None:
    loop = await loop_of(platform)
    for number in range(130):
        await finished_task(loop, f"old-{number}")
    record = (await loop.tasks.load("old-0")).record
    record.body["options"] = "damaged"
    await platform.store.swap(loop.tasks.spec.name, type(record)(record.id, record.body, record.revision + 1))
    await Retention(loop.tasks, CLEANUP).remove_expired()
    left = await platform.store.find(loop.tasks.spec.name, {"untidy": True, "status": 50}, limit=200)
    assert len(left.records) == 129


async def test_the_webhook_of_a_removed_task_keeps_its_document_for_a_while(platform: Platform) -> None:
    loop = await loop_of(platform)
    key = await finished_task(loop, "old", webhook="https://example.org/hook")
    await loop.tasks.update(key, lambda task: removed(task, NOW))
    await put(platform, "products/old/all.zip")
    await loop.tidy_all()
    assert await keys(platform) == []
    record = (await loop.tasks.load(key)).record
    assert record.expires_at is not None
    assert record.expires_at > NOW + timedelta(hours=1)


async def test_every_attempt_of_a_task_is_tidied_behind(platform: Platform) -> None:
    removed_jobs: list[str] = []

    class Remembering(SimulatedEngine):
        @override
        async def remove(self, job: Job) -> None:
            removed_jobs.append(job.name)

    loop = await task_loop(platform, Remembering(platform.objects))
    await finished_task(loop, "old", attempt=3, tidied_attempts=1)
    await loop.tidy_all()
    assert removed_jobs == ["odm-pipeline-old-a2", "odm-pipeline-old-a3"]
    assert (await loop.tasks.load("old")).body.tidied_attempts == 3


async def test_a_finished_task_says_when_it_goes(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    assert "expiresAt" not in await gateway.get(f"/task/{uuid}/info")
    await gateway.finished(uuid)
    answer = await gateway.http.get(f"/task/{uuid}/info")
    expires_at = datetime.fromisoformat(answer.json()["expiresAt"])
    assert timedelta(hours=47) < expires_at - datetime.now(UTC) <= timedelta(hours=48)
    assert answer.headers["x-flightline-expires"] == answer.json()["expiresAt"]


async def test_where_tasks_are_kept_for_ever_they_do_not_say_so(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, cleanup=timedelta()) as client:
        info = await client.finished(await client.new_task())
    assert "expiresAt" not in info


async def test_a_running_gateway_removes_what_is_over_by_itself(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, cleanup=timedelta()) as client:
        uuid = await client.new_task()
        await client.finished(uuid)
    async with running_gateway(tmp_path, cleanup=timedelta(milliseconds=1)) as client:
        await OutboxRelay(client.platform.transport, client.platform.store, ["odm_tasks"]).flush()
        while await client.get("/task/list"):
            pass
        assert await client.get(f"/task/{uuid}/info") == {"error": f"{uuid} not found"}


async def test_a_task_that_is_restarted_while_its_removal_is_decided_stays(platform: Platform) -> None:
    loop = await loop_of(platform)
    key = await finished_task(loop, "old")
    other = await finished_task(loop, "other")
    again = restarted((await loop.tasks.load(key)).body, NOW)
    assert again is not None

    class Slow(Collection[Task]):
        """Whose first change comes just too late: somebody restarts the task before it."""

        @override
        async def update(self, document_id: str, *args: Any, **more: Any) -> Document[Task]:
            if document_id == key:
                await super().update(key, lambda _: again)
            return await super().update(document_id, *args, **more)

    await Retention(Slow(platform.store, TASKS, Task), CLEANUP).remove_expired()

    assert (await loop.tasks.load(key)).body == again
    assert (await loop.tasks.load(other)).body.removing
