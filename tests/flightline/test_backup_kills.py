"""Backups and restores that are killed at any moment, as operators type them."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from flightline.backup.manifest import object_lines
from flightline.pipeline import SUBSCRIPTIONS
from shared.messaging.port import DeadLetter, Death, Message
from shared.platform import open_object_store, open_platform
from tests.flightline.letters import QUEUE
from tests.flightline.test_backup_commands import make_history
from tests.support.columns import Column

OBJECTS = 24
OBJECT_BYTES = 200_000
WITHIN_S = 60.0
KILLS = (3, pytest.param(60, marks=(pytest.mark.long, pytest.mark.timeout(900))))
FILES = ("bus.db", "state.db", "secrets-key")
STEPS = (".state.db.restoring", "bus.db", "objects/staging+", ".bus.db.restoring", "secrets-key", "objects")
"""What a restore makes in a home; those first that few kills are to meet."""
FORCED_STEPS = (".bus.db.restoring", ".state.db.restoring", ".secrets-key.restoring")
BACKUP_STEPS = ("objects.jsonl", "manifest.json", "state.db", "bus.db", "keys", "objects/staging+")
LATER_S = 0.03


@pytest.fixture
def used(column: Column) -> Column:
    """Return backends with documents, messages, a dead letter, keys and objects."""

    async def use() -> None:
        async with open_platform(column.settings, SUBSCRIPTIONS) as on:
            await make_history(on)
            for number in range(OBJECTS):
                await on.objects.put(f"staging/{number}.jpg", bytes([number]) * OBJECT_BYTES)
            for number in range(20):
                await on.transport.publish(Message(b"{}", "flight-found", f"e{number}"))
            letter = Message(b"no event", "flight-found", "broken")
            await on.transport.restore(DeadLetter("", QUEUE, letter, Death("permanent", "no"), None))

    asyncio.run(use())
    (column.home / "secrets-key").write_text("sealed")
    return column


@pytest.fixture
def backup(used: Column, tmp_path: Path) -> Path:
    folder = tmp_path / "backups" / "today"
    assert used.run("backup", str(folder)).returncode == 0
    return folder


def kill_when(column: Column, there: Path, after_s: float, *command: str) -> bool:
    """Run a command and kill it so long after ``there`` is; return whether it was killed before its end."""
    assert column.parent is not None
    log = column.home.parent / "log"
    with closing(
        column.parent.start("flightline.entry:main", ["flightline", *command], column.environment, log)
    ) as child:
        until = time.monotonic() + WITHIN_S
        while not there.exists() and not child.is_over() and time.monotonic() < until:
            time.sleep(0.0005)
        ended = child.is_over(after_s)
        child.kill()
        return not ended


def moments(steps: Sequence[str], count: int) -> Iterator[tuple[str, float]]:
    """Iterate over steps, again and again, and how long after its beginning to kill: at once, then later."""
    chance = random.Random(7)
    for number in range(count):
        yield steps[number % len(steps)], chance.uniform(0, LATER_S) * (number >= len(steps))


async def objects_of(column: Column) -> dict[str, str | None]:
    async with open_object_store(column.settings) as objects:
        stored = [await objects.stat(each.key) async for each in objects.list()]
        return {each.key: each.sha256 for each in stored if each}


def restored(column: Column) -> dict[str, object]:
    """Return everything that a restore puts into a home, and whatever else it left there."""
    others = [path for path in column.home.iterdir() if path.name not in (*FILES, "objects")]
    files = {name: (column.home / name).read_bytes() for name in FILES}
    return {**files, "objects": asyncio.run(objects_of(column)), "others": others}


def expected(backup: Path) -> dict[str, object]:
    """Return what a home has to hold."""
    files = {name: next(backup.rglob(name)).read_bytes() for name in FILES}
    hashes = {line.key: line.sha256 for line in object_lines(backup)}
    return {**files, "objects": hashes, "others": []}


@pytest.mark.parametrize("kills", KILLS)
def test_a_restore_that_was_killed_is_done_by_saying_it_again(used: Column, backup: Path, kills: int) -> None:
    killed = 0
    for step, after_s in moments(STEPS, kills):
        shutil.rmtree(used.home)
        killed += kill_when(used, used.home / step, after_s, "restore", str(backup))

        again = used.run("restore", str(backup))

        assert again.returncode == 0, again.stderr
        assert restored(used) == expected(backup)
    assert killed > kills / 2


@pytest.mark.parametrize("kills", KILLS)
def test_what_was_there_is_kept_however_often_a_restore_is_killed(
    used: Column, backup: Path, kills: int
) -> None:
    killed = 0
    for step, after_s in moments(FORCED_STEPS, kills):
        (used.home / "secrets-key").write_text(f"of our own, before {step}")
        assert used.run("retell").returncode == 0
        before = [(used.home / name).read_bytes() for name in FILES]
        killed += kill_when(used, used.home / step, after_s, "restore", "--force", str(backup))

        again = used.run("restore", "--force", str(backup))

        kept = [path.read_bytes() for path in used.home.glob("*.before-*")]
        assert again.returncode == 0, again.stderr
        assert all(one in kept for one in before)
        assert [(used.home / name).read_bytes() for name in FILES] == [expected(backup)[n] for n in FILES]
    assert killed > kills / 2


@pytest.mark.parametrize("kills", KILLS)
def test_a_backup_that_was_killed_is_never_taken_for_a_whole_one(
    used: Column, tmp_path: Path, kills: int
) -> None:
    folder = tmp_path / "backups" / "today"
    partial = folder.with_name(".today.partial")
    killed = 0
    for step, after_s in moments(BACKUP_STEPS, kills):
        killed += kill_when(used, partial / step, after_s, "backup", str(folder))
        left = partial.exists() and not (partial / "manifest.sha256").exists()
        checked = [used.run("backup", "--verify", str(each)).returncode for each in (partial, folder)]
        again = used.run("backup", str(folder))

        assert checked[0] == 2 or not left
        assert checked[1] == (2 if again.returncode == 0 else 0), again.stderr
        assert used.run("backup", "--verify", str(folder)).returncode == 0
        assert [path.name for path in folder.parent.iterdir()] == ["today"]
        shutil.rmtree(folder)
    assert killed > kills / 2
