"""``flightline dead-letters``, as a user types it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from flightline.pipeline import SUBSCRIPTIONS
from shared.messaging.bus import open_bus, open_transport
from shared.messaging.port import DeadLetter, Death, Message, Topology
from tests.flightline.letters import QUEUE, bury
from tests.support.columns import Column, kill, server_backends
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import S3Server


@pytest.fixture
def buried(column: Column) -> str:
    """Have one event refused, and return its id."""
    (event_id,) = bury(column, "field-7")
    return event_id


def listed(column: Column, *options: str) -> list[str]:
    """Return the flights of the letters that are listed."""
    lines = column.run("dead-letters", "list", "--json", *options).stdout.splitlines()
    return [json.loads(json.loads(line)["body"])["data"]["flight_id"] for line in lines]


def counts(column: Column) -> tuple[int, int]:
    """Return how many messages wait in the queue, and how many are dead."""
    found = column.run_json("status")["queues"][QUEUE]["counts"]
    return found["ready"], found["dead"]


def test_a_dead_letter_is_listed_and_shown_with_its_reason(column: Column, buried: str) -> None:
    (line,) = column.run("dead-letters", "list", "--json").stdout.splitlines()
    letter = json.loads(line)
    shown = column.run_json("dead-letters", "show", letter["id"])

    assert (shown["event_id"], shown["queue"], shown["reason"]) == (buried, QUEUE, "permanent")
    assert "nobody wants field-7" in shown["error"]
    assert json.loads(shown["body"])["id"] == buried


def test_people_are_shown_what_happened_and_what_the_event_says(column: Column, buried: str) -> None:
    head, row = column.run("dead-letters", "list").stdout.splitlines()
    letter_id = row.split()[0]

    shown = column.run("dead-letters", "show", letter_id).stdout

    assert head.split()[:2] == ["ID", "QUEUE"]
    assert f"{QUEUE}, so ingest could not handle it" in shown
    assert "permanent: trying it again cannot help" in shown
    assert f"flight-found {buried}" in shown
    assert "Traceback" in shown
    assert '    "flight_id": "field-7",' in shown


def test_what_others_wrote_tells_a_terminal_nothing(column: Column) -> None:
    asyncio.run(strange(column))

    listed = column.run("dead-letters", "list").stdout
    shown = column.run("dead-letters", "show", "1").stdout

    assert "bell \\x07" in listed
    assert "\\x1b[2J" in shown
    assert "header=\\x9b2J" in shown
    assert "\n  second line" in shown
    assert not {"\x07", "\x1b", "\x9b"} & {*listed, *shown}


async def strange(column: Column) -> None:
    """Leave a letter whose text would clear a terminal, as anybody may publish it."""
    message = Message(b"\x1b[2J\nsecond line", "flight-found", "e1", {"header": "\x9b2J"})
    async with open_bus(column.settings.bus, Topology(SUBSCRIPTIONS), service="ingest") as bus:
        await bus.transport.restore(DeadLetter("", QUEUE, message, Death("unreadable", "bell \x07"), None))


def test_letters_are_listed_page_by_page(column: Column) -> None:
    bury(column, "field-1", "field-2", "field-3")
    page = column.run("dead-letters", "list", "--limit", "2")
    last = page.stdout.splitlines()[-1].split()[0]

    assert page.stderr.strip() == f"there are more: --after {last}, or --limit 0 for all"
    assert listed(column, "--after", last) == ["field-3"]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--type", "images-staged"], 0),
        (["--since", "0s"], 0),
        (["--since", "1h", "--error", "PermanentError", "--reason", "permanent", "--queue", QUEUE], 1),
    ],
)
def test_letters_are_listed_by_what_they_are(
    column: Column, buried: str, options: list[str], count: int
) -> None:
    assert buried

    assert len(listed(column, *options)) == count


def test_no_letters_are_said_to_be_none(column: Column) -> None:
    ended = column.run("dead-letters", "list")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "no dead letters\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "--since", "yesterday"], "--since yesterday: expected a duration"),
        (["show", "4711"], "there is no dead letter 4711"),
        (["replay"], "say which"),
        (["discard", "--export", "letters.jsonl", "--all"], "0 would go, and there is nobody to ask"),
        (["discard", "--export", "no/folder", "--all", "--yes"], "no/folder: No such file or directory"),
        (["import", "no-file"], "no-file: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(column: Column, arguments: list[str], says: str) -> None:
    ended = column.run("dead-letters", *arguments)

    assert ended.returncode in (1, 2)
    assert ended.stderr.startswith(f"flightline dead-letters {arguments[0]}: ")
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_dry_run_replays_nothing(column: Column, buried: str) -> None:
    assert buried

    ended = column.run("dead-letters", "replay", "--all", "--dry-run")

    assert "nobody wants field-7" in ended.stdout
    assert counts(column) == (0, 1)


def test_a_replayed_dead_letter_waits_in_its_queue_again(column: Column, buried: str) -> None:
    assert buried

    ended = column.run("dead-letters", "replay", "--queue", QUEUE)

    assert ended.stdout.strip() == "replayed 1"
    assert counts(column) == (1, 0)


def test_discarded_dead_letters_are_in_the_export_and_come_back_from_it(
    column: Column, buried: str, tmp_path: Path
) -> None:
    export = tmp_path / "letters.jsonl"

    gone = column.run("dead-letters", "discard", "--all", "--yes", "--export", str(export))
    left = counts(column)
    back = [column.run("dead-letters", "import", str(export)).stdout for _ in range(2)]

    assert gone.stdout == f"discarded 1, kept in {export}\n", gone.stderr
    assert json.loads(export.read_text())["event_id"] == buried
    assert left == (0, 0)
    assert [text.split()[1] for text in back] == ["1", "0"]
    assert counts(column) == (0, 1)


def test_an_export_leaves_everything_as_it_is(column: Column, buried: str, tmp_path: Path) -> None:
    export = tmp_path / "letters.jsonl"

    ended = column.run("dead-letters", "export", str(export))

    assert ended.stdout == f"exported 1 to {export}\n", ended.stderr
    assert json.loads(export.read_text())["event_id"] == buried
    assert counts(column) == (0, 1)


def test_what_nobody_listens_to_is_seen_and_can_be_discarded(column: Column, tmp_path: Path) -> None:
    event, export = tmp_path / "event.json", str(tmp_path / "letters.jsonl")
    event.write_text("{}")
    of = ("--queue", "flightline.unrouted")
    published = column.run("events", "publish", "--as", "flight-fund", str(event))

    status = column.run("status")
    letter_id = column.run("dead-letters", "list", *of).stdout.splitlines()[1].split()[0]
    shown = column.run("dead-letters", "show", letter_id, *of).stdout
    stays = column.run("dead-letters", "replay", letter_id, *of)
    others = column.run("dead-letters", "list")
    gone = column.run("dead-letters", "discard", "--yes", "--export", export, *of)

    assert (published.returncode, "kept in flightline.unrouted" in published.stderr) == (1, True)
    assert (status.returncode, "1 message has a type that nobody listens to" in status.stdout) == (1, True)
    assert "unrouted: nobody listens to its type" in shown
    assert (stays.returncode, f"nobody listens to flight-fund: {letter_id} stays" in stays.stderr) == (
        1,
        True,
    )
    assert others.stderr == "no dead letters\n"
    assert gone.stdout.startswith("discarded 1")
    assert column.run_json("status")["unrouted"] == 0


@pytest.fixture
def servers(request: pytest.FixtureRequest, mongo_url: str, s3: S3Server, tmp_path: Path) -> Column:
    (tmp_path / "home").mkdir()
    return Column(tmp_path / "home", server_backends(session_rabbitmq(request.config), mongo_url, s3))


@pytest.mark.long
def test_nothing_is_lost_when_a_replay_is_killed(servers: Column) -> None:
    events = bury(servers, *(f"field-{number}" for number in range(30)))

    with servers.running("dead-letters", "replay", "--all", "--per-second", "10") as process:
        asyncio.run(until_replayed(servers, 3))
        kill(process, with_children=True)
    asyncio.run(until_all_are_back(servers, len(events)))
    rest = servers.run("dead-letters", "replay", "--all", "--per-second", "1000")

    assert 0 < int(rest.stdout.split()[1]) <= len(events) - 3, rest.stderr
    assert asyncio.run(waiting(servers)) == set(events)


async def until_replayed(column: Column, count: int) -> None:
    async with open_transport(column.settings.bus) as transport, asyncio.timeout(60):
        while await transport.depth(QUEUE) < count:
            await asyncio.sleep(0.05)


async def until_all_are_back(column: Column, count: int) -> None:
    """Wait until the broker has noticed that whoever held the letters is gone."""
    async with open_transport(column.settings.bus) as transport, asyncio.timeout(60):
        while await transport.depth(QUEUE) + await transport.depth(f"{QUEUE}.dead") < count:
            await asyncio.sleep(0.05)


async def waiting(column: Column) -> set[str]:
    """Take everything from the queue, and return whose events they are."""
    found: set[str] = set()
    async with (
        open_transport(column.settings.bus) as transport,
        transport.consume(QUEUE, prefetch=100) as deliveries,
        asyncio.timeout(60),
    ):
        while await transport.depth(QUEUE) or not found:
            while True:
                try:
                    async with asyncio.timeout(1):
                        delivery = await anext(deliveries)
                except TimeoutError:
                    break
                found.add(delivery.message.event_id)
                await delivery.ack()
    return found
