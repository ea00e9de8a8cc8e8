from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

import pytest

from odm_gateway.domain.options import OptionTable
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.handlers import start_task
from odm_gateway.loops import TASKS
from shared.events import Event, FlightOptions, ImagesStaged, Option, Scale, new_event
from shared.platform import Platform
from shared.state import Collection

TABLE = OptionTable.parse(files("odm_gateway").joinpath("odm-options.json").read_text("utf-8"), host_cores=2)

Start = Callable[[Event[ImagesStaged]], Awaitable[None]]


@pytest.fixture
async def tasks(platform: Platform) -> Collection[Task]:
    await platform.store.declare(TASKS)
    return Collection(platform.store, TASKS, Task)


@pytest.fixture
def start(platform: Platform, tasks: Collection[Task]) -> Start:
    async def started(event: Event[ImagesStaged]) -> None:
        await start_task(
            event, tasks=tasks, objects=platform.objects, options=TABLE, max_images=10, wake=lambda: None
        )

    return started


def staged(platform: Platform, **changes: Any) -> Event[ImagesStaged]:
    facts = {
        "flight_id": "f1", "version": "v1", "name": "Field",
        "prefix": platform.objects.uri("staging/f1/v1/files"),
        "manifest": platform.objects.uri("staging/f1/v1/manifest.json"), "image_count": 3, "total_bytes": 9,
    }  # fmt: skip
    return new_event("flightline/ingest", ImagesStaged.model_validate({**facts, **changes}))


async def all_tasks(tasks: Collection[Task]) -> list[Task]:
    return [document.body for document in (await tasks.find({})).items]


async def test_staged_images_become_one_task(
    platform: Platform, tasks: Collection[Task], start: Start
) -> None:
    event = staged(platform, options=FlightOptions(process=(Option(name="dsm", value="true"),)))
    await start(event)
    [task] = await all_tasks(tasks)
    assert (task.images, task.manifest) == ("staging/f1/v1/files", "staging/f1/v1/manifest.json")
    assert (task.name, task.image_count, task.options) == ("Field", 3, (Option(name="dsm", value=True),))


async def test_the_same_event_twice_or_its_double_makes_one_task(
    platform: Platform, tasks: Collection[Task], start: Start
) -> None:
    event = staged(platform)
    for told in (event, event, staged(platform)):
        await start(told)
    assert len(await all_tasks(tasks)) == 1


async def test_asking_again_makes_another_task(
    platform: Platform, tasks: Collection[Task], start: Start
) -> None:
    await start(staged(platform))
    await start(staged(platform, rerun=1))
    assert len(await all_tasks(tasks)) == 2


@pytest.mark.parametrize(
    "changes", [{"options": FlightOptions(skip_processing=True)}, {"scale": Scale(requested=2.0)}]
)
async def test_images_that_are_not_to_be_processed_now_are_left_alone(
    platform: Platform, tasks: Collection[Task], start: Start, changes: dict[str, Any]
) -> None:
    await start(staged(platform, **changes))
    assert await all_tasks(tasks) == []


async def test_scaled_images_are_processed(platform: Platform, tasks: Collection[Task], start: Start) -> None:
    await start(staged(platform, scale=Scale(requested=2.0, applied=2.0)))
    assert len(await all_tasks(tasks)) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"options": FlightOptions(process=(Option(name="dsm", value="x"),))}, "Cannot convert x to boolean"),
        ({"prefix": "s3://elsewhere/images"}, "s3://elsewhere"),
        ({"image_count": 11}, "11 images uploaded"),
    ],
)
async def test_what_cannot_be_processed_becomes_a_failed_task_that_is_told(
    platform: Platform, tasks: Collection[Task], start: Start, changes: dict[str, Any], words: str
) -> None:
    event = staged(platform, **changes)
    await start(event)
    [task] = await all_tasks(tasks)
    assert (task.status, words in (task.error or "")) == (Status.FAILED, True)
    [record] = await platform.store.pending(TASKS.name)
    assert f'"causationid":"{event.id}"' in record.outbox[0].event
