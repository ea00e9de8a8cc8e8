from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import InvalidInputError, NotFoundError
from shared.messaging.bus import open_transport
from shared.messaging.dead_letters import EVERYTHING, DeadLetters, Selection, from_json, read_letters, to_json
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
        (Selection(event_type="images-staged"), ["KeyError: c"]),
        (Selection(since=datetime(2020, 1, 1, tzinfo=UTC), error="KeyError"), ["KeyError: a", "KeyError: c"]),
        (Selection(since=datetime(2999, 1, 1, tzinfo=UTC)), []),
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


async def test_what_is_replayed_is_told_one_by_one(setup: Setup) -> None:
    told: list[str] = []

    await setup.letters.replay(
        EVERYTHING, per_second=1000, tell=lambda letter: told.append(letter.death.error)
    )

    assert told == ["KeyError: a", "ValueError: b", "KeyError: c"]


async def test_an_export_leaves_the_letters_where_they_are(setup: Setup, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"

    assert await setup.letters.export(EVERYTHING, file) == 3

    assert [letter.death.error for letter in read_letters(file)] == await setup.errors()
    assert file.stat().st_mode & 0o077 == 0


async def test_discarded_letters_are_put_back_from_the_export_once(setup: Setup, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    await setup.bury(GATEWAY, "OSError: d", b"\xff\x00")
    before = [(letter.message, letter.death) async for letter in setup.letters.list()]
    await setup.letters.discard(Selection(queue=GATEWAY), export=file)

    restored = [await setup.letters.restore(read_letters(file)) for _ in range(2)]

    assert restored == [2, 0]
    assert [(letter.message, letter.death) async for letter in setup.letters.list()] == before


async def test_a_letter_that_died_after_the_export_is_not_discarded(setup: Setup, tmp_path: Path) -> None:
    [late] = [letter async for letter in setup.letters.list(Selection(error="ValueError"))]
    await setup.transport.discard(late.queue, late.id)

    assert await setup.letters.discard(Selection(queue=INGEST), export=tmp_path / "export.jsonl") == 1
    await setup.transport.restore(late)

    assert await setup.errors(Selection(queue=INGEST)) == ["ValueError: b"]


@pytest.mark.parametrize("line", ["no json", "{}", "[]", '{"body": 7}'])
def test_a_file_of_something_else_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "export.jsonl"
    file.write_text(f"\n{line}\n")

    with pytest.raises(InvalidInputError, match="line 2"):
        read_letters(file)


async def test_a_letter_survives_json(setup: Setup) -> None:
    letters = [letter async for letter in setup.letters.list()]

    assert [from_json(json.loads(json.dumps(to_json(letter)))) for letter in letters] == letters
