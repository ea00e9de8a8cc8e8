"""Restarts, and everything else that happens to tasks that are there."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from odm_gateway.domain.tasks import Status, Task, begun, canceled
from odm_gateway.loops import TASKS
from shared.events import TaskCompleted
from shared.state import Collection
from shared.state.port import Lease, Record
from tests.support.gateway import GatewayClient, completions, opened_platform, running_gateway
from tests.support.listening import heard
from tests.support.trouble import eventually

CANNOT = {"success": False, "error": "Task cannot be restarted"}
DONE = {"success": True}


def tasks_of(client: GatewayClient) -> Collection[Task]:
    return Collection(client.platform.store, TASKS, Task)


async def held_task(client: GatewayClient, *, cancel: bool = False) -> str:
    """Make a task that somebody else works on for a long time."""
    now = datetime.now(UTC)
    task = begun(Task(id="held", created_at=now, inserted_us=1, images="x"), now)
    body = (canceled(task, now) if cancel else task).model_dump(mode="json")
    lease = Lease("somebody", now + timedelta(hours=1))
    await client.platform.store.insert(TASKS.name, Record("held", body, lease=lease))
    return "held"


async def option_names(client: GatewayClient, uuid: str) -> list[str]:
    return [option["name"] for option in (await client.get(f"/task/{uuid}/info"))["options"]]


@pytest.mark.parametrize("kind", ["data", "json"])
async def test_q4_a_restart_keeps_the_id_and_runs_again(gateway: GatewayClient, kind: str) -> None:
    uuid = await gateway.new_task()
    first = await gateway.finished(uuid)
    bodies: dict[str, Any] = {kind: {"uuid": uuid}}
    assert await gateway.post("/task/restart", **bodies) == DONE
    again = await gateway.finished(uuid)
    assert again["uuid"] == uuid
    assert again["dateCreated"] > first["dateCreated"]
    assert len(await gateway.get("/task/list")) == 1


async def test_a_restarted_task_reads_as_queued_with_nothing_done(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    tasks = tasks_of(gateway)
    assert await tasks.claim({"status": 40}, owner="tidying", hold=timedelta(hours=1))
    assert await gateway.post("/task/restart", data={"uuid": uuid}) == DONE
    info = await gateway.get(f"/task/{uuid}/info", params={"with_output": "0"})
    assert (info["status"], info["progress"], info["processingTime"]) == ({"code": 10}, 0, -1)
    assert info["output"] == []
    assert await gateway.get(f"/task/{uuid}/download/all.zip") == {"error": "Asset not ready"}


async def test_each_attempt_is_told_once(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    await gateway.post("/task/restart", data={"uuid": uuid})
    await gateway.finished(uuid)
    told = await heard(gateway.platform, TaskCompleted, at_least=2)
    assert [event.data.task_id for event in told] == [uuid, uuid]
    assert len({event.id for event in told}) == 2


@pytest.mark.parametrize("verb", ["none", "cancel"])
async def test_failed_and_canceled_tasks_can_be_restarted(gateway: GatewayClient, verb: str) -> None:
    uuid = await gateway.new_task(options='[{"name": "camera-lens", "value": "dual"}]')
    assert (await gateway.finished(uuid))["status"]["code"] == 30
    if verb == "cancel":
        await gateway.post("/task/cancel", data={"uuid": uuid})
    assert await gateway.post("/task/restart", data={"uuid": uuid, "options": "[]"}) == DONE
    assert (await gateway.finished(uuid))["status"] == {"code": 40}


async def test_q5_unknown_options_of_a_restart_vanish_and_automatic_ones_come_back(
    gateway: GatewayClient,
) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    options = json.dumps([{"name": "dtm", "value": True}, {"name": "no-such", "value": 1}])
    assert await gateway.post("/task/restart", data={"uuid": uuid, "options": options}) == DONE
    assert await option_names(gateway, uuid) == ["dtm", "pc-ept", "cog", "gltf"]


async def test_a_restart_of_a_task_without_post_processing_adds_none(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task(skipPostProcessing="true")
    await gateway.finished(uuid)
    options = json.dumps([{"name": "dtm", "value": True}])
    assert await gateway.post("/task/restart", data={"uuid": uuid, "options": options}) == DONE
    assert await option_names(gateway, uuid) == ["dtm"]


async def test_a_restart_without_options_keeps_those_that_are_there(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task(options='[{"name": "dsm", "value": true}]')
    await gateway.finished(uuid)
    assert await gateway.post("/task/restart", data={"uuid": uuid, "options": ""}) == DONE
    assert await option_names(gateway, uuid) == ["dsm", "pc-ept", "cog", "gltf"]


@pytest.mark.parametrize("options", ["[{", '[{"name": "dsm", "value": "x"}]'])
async def test_wrong_options_of_a_restart_are_a_bare_error_and_change_nothing(
    gateway: GatewayClient, options: str
) -> None:
    uuid = await gateway.new_task()
    before = await gateway.finished(uuid)
    answer = await gateway.post("/task/restart", data={"uuid": uuid, "options": options})
    assert set(answer) == {"error"}
    assert await gateway.get(f"/task/{uuid}/info") == before


async def test_g2_open_tasks_cannot_be_restarted(gateway: GatewayClient) -> None:
    uuid = await held_task(gateway)
    assert await gateway.post("/task/restart", data={"uuid": uuid}) == CANNOT


async def test_a_restart_right_behind_a_cancel_loses_neither(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()

    async def has_begun() -> bool:
        return (await tasks_of(gateway).load(uuid)).body.status is Status.RUNNING

    await eventually(has_begun)
    assert await gateway.post("/task/cancel", data={"uuid": uuid}) == DONE
    assert await gateway.post("/task/restart", data={"uuid": uuid}) == DONE
    assert (await gateway.finished(uuid))["status"] == {"code": 40}
    told = await heard(gateway.platform, TaskCompleted, at_least=2)
    assert [event.data.status for event in told] == ["canceled", "completed"]


async def test_a_task_that_does_not_stop_cannot_be_restarted(gateway: GatewayClient) -> None:
    uuid = await held_task(gateway, cancel=True)
    assert (await gateway.get(f"/task/{uuid}/info"))["status"] == {"code": 50}
    assert await gateway.post("/task/restart", data={"uuid": uuid}, timeout=30) == CANNOT
    assert (await tasks_of(gateway).load(uuid)).body.cancel_requested


async def test_q19_a_removed_task_is_not_found_by_any_verb(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    assert await gateway.post("/task/remove", data={"uuid": uuid}) == DONE
    for verb in ("restart", "cancel", "remove"):
        answer = await gateway.post(f"/task/{verb}", data={"uuid": uuid})
        assert answer == {"success": False, "error": f"{uuid} not found"}


async def test_q3_a_completed_task_that_is_canceled_shows_50_and_no_time(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    assert await gateway.post("/task/cancel", data={"uuid": uuid}) == DONE
    info = await gateway.get(f"/task/{uuid}/info")
    assert (info["status"], info["processingTime"], info["progress"]) == ({"code": 50}, -1, 100)


async def test_q22_answers_that_say_yes_have_no_key_error(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    answers = [await gateway.finished(uuid), await gateway.post("/task/restart", data={"uuid": uuid})]
    answers += [await gateway.post("/task/cancel", data={"uuid": uuid}), await gateway.get("/auth/info")]
    assert all("error" not in answer for answer in answers)


@pytest.mark.parametrize("verb", ["cancel", "remove", "restart"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xfe{", "application/json"),
        (b'"text"', "application/json"),
        (b"[" * 9999, "application/json"),
        (b"uuid=%zz&&=", "application/x-www-form-urlencoded"),
        (b"uuid=1", "text/plain"),
        (b"", "multipart/form-data"),
        (b"\0" * 100, "multipart/form-data; boundary=\xe9"),
    ],
)
async def test_g1_nothing_that_is_sent_leaks_an_error_of_the_framework(
    gateway: GatewayClient, verb: str, body: bytes, kind: str
) -> None:
    headers = {b"content-type": kind.encode("latin-1")}
    answer = await gateway.http.post(f"/task/{verb}", content=body, headers=headers)
    assert answer.status_code == 200
    assert set(answer.json()) <= {"error", "success"}
    assert "error" in answer.json()


@pytest.mark.parametrize(
    "path",
    [
        "/task/%00/info",
        "/task/%ff%fe/output",
        f"/task/{'x' * 3000}/info",
        "/task/%F0%9F%9B%A9/info",
        "/task/.../info",
    ],
)
async def test_strange_ids_are_not_found(gateway: GatewayClient, path: str) -> None:
    answer = await gateway.http.get(path)
    assert answer.status_code == 200
    assert answer.json()["error"].endswith("not found")


async def test_a_node_that_has_enough_open_tasks_takes_no_more(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, max_open_tasks=1) as client:
        await held_task(client)
        answer = await client.post("/task/new", data={"zipurl": client.platform.objects.uri("staging/a")})
    assert "takes no more" in answer["error"]


async def test_a_task_that_takes_too_long_is_canceled_and_says_so(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, max_runtime=timedelta(seconds=1.5), simulate_seconds=30) as client:
        uuid = await client.new_task()
        info = await client.finished(uuid)
        assert (info["status"], info["processingTime"]) == ({"code": 50}, -1)
        assert (await client.get(f"/task/{uuid}/output"))[-1] == "Task timed out after 0.025 minutes."
        [event] = await completions(client.platform)
    assert event.data.status == "canceled"


async def test_an_empty_list_of_options_is_another_list_and_not_none(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task(options='[{"name": "dsm", "value": true}]', skipPostProcessing="true")
    await gateway.finished(uuid)
    assert await gateway.post("/task/restart", json={"uuid": uuid, "options": []}) == DONE
    assert await option_names(gateway, uuid) == []


async def test_a_task_that_is_removed_while_its_restart_waits_is_not_found(gateway: GatewayClient) -> None:
    uuid = await held_task(gateway, cancel=True)
    restarting = asyncio.create_task(gateway.post("/task/restart", data={"uuid": uuid}, timeout=30))
    await asyncio.sleep(0.5)
    tasks = tasks_of(gateway)
    await tasks.delete(await tasks.load(uuid))
    assert await restarting == {"success": False, "error": f"{uuid} not found"}


async def test_the_time_of_a_task_runs_on_while_no_gateway_does(tmp_path: Path) -> None:
    """The limit counts from the start of the work, not of the process that goes on with it."""
    settings = {"max_runtime": timedelta(hours=1), "simulate_seconds": 3600}
    async with running_gateway(tmp_path, **settings) as client:
        uuid = await client.new_task()

        async def has_begun() -> bool:
            return (await tasks_of(client).load(uuid)).body.status is Status.RUNNING

        await eventually(has_begun)
    async with opened_platform(tmp_path) as platform:
        await platform.store.declare(TASKS)
        tasks = Collection(platform.store, TASKS, Task)
        await tasks.update(
            uuid,
            lambda task: task.model_copy(update={"started_at": datetime.now(UTC) - timedelta(minutes=61)}),
        )
    async with running_gateway(tmp_path, **settings) as client:
        info = await client.finished(uuid)
        assert info["status"] == {"code": 50}
        assert (await client.get(f"/task/{uuid}/output"))[-1] == "Task timed out after 60 minutes."


async def test_a_change_shows_in_the_list_with_the_next_request(gateway: GatewayClient) -> None:
    made: list[str] = []
    for _ in range(5):
        made.append(await gateway.new_task())
        assert await gateway.get("/task/list") == [{"uuid": uuid} for uuid in made]
    while made:
        await gateway.post("/task/remove", data={"uuid": made.pop()})
        assert await gateway.get("/task/list") == [{"uuid": uuid} for uuid in made]
