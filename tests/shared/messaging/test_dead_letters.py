from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.errors import NotFoundError
from shared.messaging.bus import open_transport
from shared.messaging.dead_letters import DeadLetters, Selection, to_json
from shared.messaging.port import Death, Message, Transport
from tests.support.events import two_queues

INGEST, GATEWAY = (subscription.queue for subscription in two_queues().subscriptions)


@dataclass(frozen=True)
class Setup:
    transport: Transport
    letters: DeadLetters

    async def bury(self, queue: str, error: str, body: bytes = b"{}") -> None:
        await self.transport.publish(Message(body, queue.split(".")[1], f"event of {error}"))
        async with self.transport.consume(queue, prefetch=1) as deliveries, asyncio.timeout(30):
            await (await anext(deliveries)).bury(Death("bug", error))

    async def errors(self, selection: Selection = Selection()) -> list[str]:  # noqa: B008 - frozen
        return [letter.death.error async for letter in self.letters.list(selection)]


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    async with open_transport(f"sqlite://{tmp_path}/bus.db") as transport:
        await transport.declare(two_queues())
        setup = Setup(transport, DeadLetters(transport, two_queues()))
        await setup.bury(INGEST, "KeyError: a")
        await setup.bury(INGEST, "ValueError: b")
        await setup.bury(GATEWAY, "KeyError: c")
        yield setup


async def test_letters_of_all_queues_are_listed(setup: Setup) -> None:
    assert await setup.errors() == ["KeyError: a", "ValueError: b", "KeyError: c"]


@pytest.mark.parametrize(
    ("selection", "errors"),
    [
        (Selection(queue=GATEWAY), ["KeyError: c"]),
        (Selection(error="KeyError"), ["KeyError: a", "KeyError: c"]),
        (Selection(queue=INGEST, error="KeyError"), ["KeyError: a"]),
        (Selection(reason="permanent"), []),
    ],
)
async def test_letters_are_selected(setup: Setup, selection: Selection, errors: list[str]) -> None:
    assert await setup.errors(selection) == errors


async def test_one_letter_is_shown(setup: Setup) -> None:
    [wanted] = [letter async for letter in setup.letters.list(Selection(error="ValueError"))]

    assert await setup.letters.show(wanted.id) == wanted


async def test_replaying_by_error_leaves_the_others(setup: Setup) -> None:
    assert await setup.letters.replay(Selection(error="KeyError"), per_second=1000) == 2

    assert await setup.errors() == ["ValueError: b"]
    assert [await setup.transport.depth(queue) for queue in (INGEST, GATEWAY)] == [1, 1]


async def test_a_replay_is_no_faster_than_asked(setup: Setup) -> None:
    started = time.monotonic()

    await setup.letters.replay(Selection(), per_second=10)

    assert time.monotonic() - started >= 0.3


async def test_discarded_letters_are_in_the_export(setup: Setup, tmp_path: Path) -> None:
    export = tmp_path / "export.jsonl"

    assert await setup.letters.discard(Selection(error="KeyError"), export=export) == 2

    assert [json.loads(line)["error"] for line in export.read_text().splitlines()] == [
        "KeyError: a",
        "KeyError: c",
    ]
    assert await setup.errors() == ["ValueError: b"]


async def test_nothing_is_discarded_that_could_not_be_exported(setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await setup.letters.discard(Selection(), export=tmp_path / "no folder" / "export.jsonl")

    assert len(await setup.errors()) == 3


async def test_bytes_that_are_no_text_are_exported_as_base64(setup: Setup) -> None:
    await setup.bury(GATEWAY, "OSError: d", b"\xff\x00")

    [letter] = [letter async for letter in setup.letters.list(Selection(error="OSError"))]

    assert to_json(letter)["body_base64"] == "/wA="


async def test_an_unknown_letter_is_not_found(setup: Setup) -> None:
    for attempt in (setup.letters.show("4711"), setup.letters.replay(Selection(letter_id="4711"))):
        with pytest.raises(NotFoundError, match="4711"):
            await attempt


async def test_an_unknown_queue_is_answered_with_those_that_there_are(setup: Setup) -> None:
    with pytest.raises(NotFoundError, match=r"odm-gateway\.images-staged"):
        await setup.errors(Selection(queue="no.such"))
