"""Who is told of a task's end over HTTP, with real receivers."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from odm_gateway.domain.completion import completion
from odm_gateway.domain.tasks import Status, Task, ended, restarted
from odm_gateway.domain.webhooks import Hook
from odm_gateway.handlers import tell_webhooks
from odm_gateway.loops import TASKS
from shared.messaging.dead_letters import EVERYTHING, DeadLetters
from shared.messaging.port import DeadLetter
from shared.platform import Platform
from shared.state import Collection
from tests.support.gateway import GatewayClient, running_gateway
from tests.support.trouble import eventually
from tests.support.webhook_receiver import Receiver, webhook_receiver

QUEUE = "odm-gateway.task-completed"
FAILING = json.dumps([{"name": "camera-lens", "value": "dual"}])


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    monkeypatch.setenv("FLIGHTLINE_RETRY_LADDER", "0.1,0.1,0.1")
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def open_gateway(receiver: Receiver, tmp_path: Path) -> AsyncIterator[GatewayClient]:
    """A gateway whose clients may name webhooks on private addresses, with a webhook of its own."""
    async with running_gateway(
        tmp_path, allow_private_urls=True, webhook=f"{receiver.url}/node", webhook_secret=SecretStr("s3cret")
    ) as client:
        yield client


async def letters(platform: Platform) -> list[DeadLetter]:
    return [letter async for letter in DeadLetters(platform.transport, platform.topology).list()]


async def buried(platform: Platform) -> DeadLetter:
    async def is_there() -> bool:
        return bool(await letters(platform))

    await eventually(is_there)
    [letter] = await letters(platform)
    return letter


async def test_the_hook_of_a_task_and_that_of_the_node_hear_what_nodeodm_tells(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    uuid = await open_gateway.new_task(webhook=f"{receiver.url}/mine", name="Field")
    info = await open_gateway.finished(uuid)
    [mine] = await receiver.wait(1, path="/mine")
    [node] = await receiver.wait(1, path="/node")
    assert mine.payload == node.payload
    told = {name: value for name, value in mine.payload.items() if name in info and name != "expiresAt"}
    assert told == {name: value for name, value in info.items() if name != "expiresAt"}
    assert (mine.payload["status"], mine.payload["images"]) == ({"code": 40}, [])


async def test_a_hook_hears_where_the_products_lie(open_gateway: GatewayClient, receiver: Receiver) -> None:
    uuid = await open_gateway.new_task(webhook=f"{receiver.url}/mine")
    [told] = await receiver.wait(1, path="/mine")
    assert told.payload["outputs"] == open_gateway.platform.objects.uri(f"products/{uuid}")
    assert "all.zip" in told.payload["assets"]


async def test_a_failure_is_told_with_its_reason_and_without_products(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    await open_gateway.new_task(webhook=f"{receiver.url}/mine", options=FAILING)
    [told] = await receiver.wait(1, path="/mine")
    assert told.payload["status"] == {"code": 30, "errorMessage": "Cannot process dataset"}
    assert (told.payload["outputs"], told.payload["assets"], told.payload["progress"]) == (None, [], 100)


@pytest.mark.parametrize("verb", ["cancel", "remove"])
async def test_the_end_of_an_open_task_by_its_user_is_told(
    open_gateway: GatewayClient, receiver: Receiver, verb: str
) -> None:
    uuid = await open_gateway.new_task(webhook=f"{receiver.url}/mine")
    await open_gateway.post(f"/task/{verb}", data={"uuid": uuid})
    [told] = await receiver.wait(1, path="/mine")
    assert (told.payload["uuid"], told.payload["status"]) == (uuid, {"code": 50})
    assert told.payload["processingTime"] == -1


async def test_canceling_a_finished_task_is_not_told_again(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    uuid = await open_gateway.new_task(webhook=f"{receiver.url}/mine")
    await receiver.wait(1, path="/mine")
    await open_gateway.post("/task/cancel", data={"uuid": uuid})
    await open_gateway.new_task(webhook=f"{receiver.url}/later")
    await receiver.wait(1, path="/later")
    assert len(await receiver.wait(1, path="/mine")) == 1


async def test_each_attempt_is_told_under_a_name_of_its_own(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    uuid = await open_gateway.new_task(webhook=f"{receiver.url}/mine")
    await open_gateway.finished(uuid)
    await receiver.wait(1, path="/mine")
    assert await open_gateway.post("/task/restart", data={"uuid": uuid}) == {"success": True}
    told = await receiver.wait(2, path="/mine")
    assert len({one.headers["x-flightline-delivery"] for one in told}) == 2


async def test_what_is_told_is_signed(open_gateway: GatewayClient, receiver: Receiver) -> None:
    await open_gateway.new_task()
    [told] = await receiver.wait(1, path="/node")
    expected = hmac.new(b"s3cret", told.body, hashlib.sha256).hexdigest()
    assert told.headers["x-flightline-signature"] == f"sha256={expected}"
    assert told.headers["content-type"] == "application/json"


async def test_a_hook_that_fails_is_told_again_and_the_other_only_once(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    async with webhook_receiver() as other:
        other.answers = [500, 204]
        uuid = await open_gateway.new_task(webhook=f"{other.url}/mine")
        deliveries = {one.headers["x-flightline-delivery"] for one in await other.wait(3)}
    assert len(deliveries) == 1
    document = await _tasks(open_gateway.platform).load(uuid)
    assert set(document.body.hooks_told) <= {"1/task", "1/node"}
    assert len(await receiver.wait(1, path="/node")) == 1


async def test_a_hook_that_never_answers_is_a_dead_letter_that_can_be_replayed(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    async with webhook_receiver() as other:
        other.answers = [500] * 4
        await open_gateway.new_task(webhook=f"{other.url}/mine?key=hush")
        letter = await buried(open_gateway.platform)
        assert letter.death.reason == "attempts_exhausted"
        assert "answered 500" in letter.death.error
        assert "hush" not in letter.death.error + letter.death.trace
        dead = DeadLetters(open_gateway.platform.transport, open_gateway.platform.topology)
        await dead.replay(EVERYTHING)
        await other.wait(5)
    assert len(await receiver.wait(1, path="/node")) == 1


async def test_a_task_that_is_gone_is_told_of_to_the_node_from_what_the_event_says(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    now = datetime.now(UTC)
    task = ended(
        Task(id="gone", name="Gone", created_at=now, started_at=now, inserted_us=1, images="x"),
        Status.COMPLETED,
        now,
        assets=("all.zip",),
    )
    outputs = open_gateway.platform.objects.uri("products/gone")
    await open_gateway.platform.bus("odm-gateway").publish(completion(task, outputs))
    [told] = await receiver.wait(1, path="/node")
    assert (told.payload["uuid"], told.payload["name"], told.payload["status"]) == (
        "gone",
        "Gone",
        {"code": 40},
    )
    assert (told.payload["outputs"], told.payload["assets"]) == (outputs, ["all.zip"])


async def test_the_end_of_an_earlier_attempt_is_told_as_it_was(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    now = datetime.now(UTC)
    first = Task(id="again", created_at=now, inserted_us=1, images="x", webhook=f"{receiver.url}/mine")
    failed = ended(first, Status.FAILED, now, error="no")
    second = restarted(failed, now)
    assert second is not None
    tasks = _tasks(open_gateway.platform)
    await tasks.insert("again", ended(second, Status.COMPLETED, now))
    await open_gateway.platform.bus("odm-gateway").publish(completion(failed, None))
    [told] = await receiver.wait(1, path="/mine")
    assert told.payload["status"] == {"code": 30, "errorMessage": "no"}
    await eventually(lambda: _has_told(tasks, "again", {"1/task", "1/node"}))


async def test_an_event_that_comes_twice_is_told_once(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    uuid = await open_gateway.new_task(webhook=f"{receiver.url}/mine")
    await open_gateway.finished(uuid)
    await receiver.wait(1, path="/mine")
    tasks = _tasks(open_gateway.platform)
    await eventually(lambda: _has_told(tasks, uuid, {"1/task", "1/node"}))
    await open_gateway.platform.bus("odm-gateway").publish(completion((await tasks.load(uuid)).body, None))
    await open_gateway.new_task(webhook=f"{receiver.url}/later")
    await receiver.wait(1, path="/later")
    assert len(await receiver.wait(1, path="/mine")) == 1


async def test_the_list_of_images_is_told_where_the_engine_made_one(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    objects = open_gateway.platform.objects
    await objects.put("products/listed/images.json", b'[{"filename": "a.jpg"}]')
    now = datetime.now(UTC)
    task = Task(id="listed", created_at=now, inserted_us=1, images="x")
    done = ended(task, Status.COMPLETED, now, assets=("images.json",))
    await open_gateway.platform.bus("odm-gateway").publish(completion(done, objects.uri("products/listed")))
    [told] = await receiver.wait(1, path="/node")
    assert told.payload["images"] == [{"filename": "a.jpg"}]


async def test_private_addresses_are_not_reached_for_clients_but_for_the_operator(
    receiver: Receiver, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path, webhook=f"{receiver.url}/node") as client:
        await client.new_task(webhook=f"{receiver.url}/mine")
        letter = await buried(client.platform)
        assert [one.path for one in receiver.heard] == ["/node"]
    assert letter.death.reason == "permanent"
    assert "not a public address" in letter.death.error


@pytest.mark.parametrize("webhook", ["ftp://a/b", "abcd", "http://", "//host/x"])
async def test_a_webhook_that_is_no_url_is_refused_at_once(gateway: GatewayClient, webhook: str) -> None:
    answer = await gateway.post("/task/new", data={"zipurl": "file:///x", "webhook": webhook})
    assert "webhook must be" in answer["error"]


@pytest.mark.parametrize("webhook", ["", "abc", " x "])
async def test_three_characters_are_no_webhook(gateway: GatewayClient, webhook: str) -> None:
    uuid = await gateway.new_task(webhook=webhook)
    assert (await _tasks(gateway.platform).load(uuid)).body.webhook is None


async def test_a_removed_task_is_forgotten_as_soon_as_its_hook_knows(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    uuid = await open_gateway.new_task(webhook=f"{receiver.url}/mine")
    await open_gateway.post("/task/remove", data={"uuid": uuid})
    await receiver.wait(1, path="/mine")
    tasks = _tasks(open_gateway.platform)

    async def is_gone() -> bool:
        return await tasks.get(uuid) is None

    await eventually(is_gone)


def _tasks(platform: Platform) -> Collection[Task]:
    return Collection(platform.store, TASKS, Task)


async def _has_told(tasks: Collection[Task], uuid: str, marks: set[str]) -> bool:
    await asyncio.sleep(0)
    return set((await tasks.load(uuid)).body.hooks_told) == marks


def test_hooks_are_settings_that_are_checked_and_kept_secret() -> None:
    from odm_gateway.config import Settings  # noqa: PLC0415 - beside its only use

    settings: Any = Settings(port=0, webhook="https://example.org/hook?key=hush")
    assert "hush" not in repr(settings)
    with pytest.raises(ValueError, match="begins with http"):
        Settings(port=0, webhook="example.org")


async def test_an_event_that_two_replicas_hear_at_once_is_told_once(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    uuid = await open_gateway.new_task(webhook=f"{receiver.url}/mine")
    await receiver.wait(1, path="/mine")
    await receiver.wait(1, path="/node")
    tasks = Collection(open_gateway.platform.store, TASKS, Task)
    done = await tasks.update(
        uuid.lower(), lambda task: task.model_copy(update={"hooks_told": (), "telling_until_s": 0.0})
    )
    told = partial(
        tell_webhooks,
        completion(done.body, None),
        tasks=tasks,
        objects=open_gateway.platform.objects,
        node_hook=f"{receiver.url}/node",
    )
    posts: list[str] = []

    async def post(hook: Hook, body: bytes, delivery: str) -> None:
        posts.append(f"{hook.name} {delivery} {len(body) > 0}")
        await asyncio.sleep(0.3)

    await asyncio.gather(*(told(post=post) for _ in range(4)))

    assert len(posts) == len(set(posts)) == 2
    assert (await tasks.load(uuid.lower())).body.telling_until_s == 0


async def test_who_dies_while_telling_is_waited_for_and_no_longer(
    open_gateway: GatewayClient, receiver: Receiver
) -> None:
    uuid = await open_gateway.new_task(webhook=f"{receiver.url}/mine")
    await receiver.wait(1, path="/mine")
    await receiver.wait(1, path="/node")
    tasks = Collection(open_gateway.platform.store, TASKS, Task)
    until_s = time.time() + 0.5
    done = await tasks.update(
        uuid.lower(), lambda task: task.model_copy(update={"hooks_told": (), "telling_until_s": until_s})
    )
    posted_at_s: list[float] = []

    async def post(hook: Hook, body: bytes, delivery: str) -> None:
        del hook, body, delivery
        posted_at_s.append(time.time())

    await tell_webhooks(
        completion(done.body, None),
        tasks=tasks,
        objects=open_gateway.platform.objects,
        node_hook=None,
        post=post,
    )

    assert len(posted_at_s) == 1
    assert posted_at_s[0] >= until_s
