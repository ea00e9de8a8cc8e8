import pytest

from odm_gateway.adapters.console_log import CHUNK_LINES, CONSOLE, ConsoleChunk, ConsoleLog
from shared.platform import Platform
from shared.state import Collection

LINES = [f"line {number}" for number in range(CHUNK_LINES * 2 + 7)]


@pytest.fixture
async def console(platform: Platform) -> ConsoleLog:
    await platform.store.declare(CONSOLE)
    return ConsoleLog(Collection(platform.store, CONSOLE, ConsoleChunk))


@pytest.mark.parametrize("size", [1, 7, 100, CHUNK_LINES, 1000])
async def test_lines_come_back_however_they_were_batched(console: ConsoleLog, size: int) -> None:
    for first in range(0, len(LINES), size):
        await console.append("t", 1, first, LINES[first : first + size])
    assert await console.lines("t", 1) == LINES
    assert await console.count("t", 1) == len(LINES)


async def test_a_batch_written_twice_is_not_doubled(console: ConsoleLog) -> None:
    for _ in range(2):
        await console.append("t", 1, 0, LINES[:300])
        await console.append("t", 1, 300, LINES[300:])
    assert await console.lines("t", 1) == LINES


@pytest.mark.parametrize("first", [0, 1, CHUNK_LINES - 1, CHUNK_LINES, CHUNK_LINES + 5, len(LINES), 10_000])
async def test_lines_are_read_from_any_line_on(console: ConsoleLog, first: int) -> None:
    await console.append("t", 1, 0, LINES)
    assert await console.lines("t", 1, first) == LINES[first:]


async def test_runs_and_tasks_do_not_mix(console: ConsoleLog) -> None:
    await console.append("t", 1, 0, ["old"])
    await console.append("t", 2, 0, ["new"])
    await console.append("u", 2, 0, ["other"])
    await console.remove("t", before_run=2)
    assert [await console.lines(*of) for of in (("t", 1), ("t", 2), ("u", 2))] == [[], ["new"], ["other"]]
