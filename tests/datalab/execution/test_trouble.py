"""What operations and their processes can do wrong, and what becomes of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from datalab.domain.asked import AskedOperation, State
from shared.platform import Platform
from tests.datalab.execution.conftest import Lab, frames, running_lab
from tests.support.archive import ArchiveSimulator


@pytest.fixture
async def lab(platform: Platform, archive: ArchiveSimulator) -> AsyncIterator[Lab]:
    """Run the execution with little memory and time."""
    limits: dict[str, Any] = {"memory_bytes": 192 << 20, "time_limit": timedelta(seconds=20)}
    async with running_lab(platform, archive, **limits) as lab:
        yield lab


async def trouble(lab: Lab, how: str, marks: Path | None = None, **more: Any) -> AskedOperation:
    data = {"how": how, "marks": str(marks) if marks else "", **more}
    if marks:
        marks.mkdir()
    return await lab.ask("Trouble", data)


async def test_what_would_fail_again_fails_at_once(lab: Lab, tmp_path: Path) -> None:
    messages = {
        "refuse": "These frames have different filters.",
        "exit": "Trouble could not be computed: SystemExit: a catalogue has no column X",
        "bug": "Trouble could not be computed: ZeroDivisionError: by zero",
        "escape": "Trouble could not be computed: ValueError: ",
    }
    for how, message in messages.items():
        shown = await lab.ended(await trouble(lab, how, tmp_path / how))

        assert shown.state is State.FAILED
        assert shown.message.startswith(message)
        assert str(lab.platform.settings.home) not in shown.message
        assert len(list((tmp_path / how).iterdir())) == 1
    events = await lab.told(len(messages))
    assert {event.data.status for event in events} == {"failed"}
    assert events[0].data.error == messages["refuse"]


async def test_data_beyond_all_bounds_are_refused(platform: Platform, archive: ArchiveSimulator) -> None:
    async with running_lab(platform, archive, memory_bytes=1 << 30) as lab:
        shown = await lab.ended(await trouble(lab, "huge"))

    assert shown.state is State.FAILED
    assert shown.message == (
        "The result has 68157453 bytes of data, and 67108864 at most are kept; use fewer files."
    )


@pytest.mark.parametrize(
    ("how", "why"),
    [
        pytest.param("os_exit", "its process ended with 3", marks=pytest.mark.long),
        pytest.param("kill_itself", "its process was killed", marks=pytest.mark.long),
        ("memory", "it takes more memory than it may"),
    ],
)
async def test_a_process_that_ends_is_tried_three_times(lab: Lab, tmp_path: Path, how: str, why: str) -> None:
    operation = await trouble(lab, how, tmp_path / "marks")

    shown = await lab.ended(operation)

    assert shown.state is State.FAILED
    assert why in shown.message
    assert "3 times" in shown.message
    assert len(list((tmp_path / "marks").iterdir())) == 3


async def test_a_crash_that_does_not_come_again_costs_a_retry(lab: Lab, tmp_path: Path) -> None:
    operation = await trouble(lab, "kill_itself", tmp_path / "marks", times=1)

    shown = await lab.ended(operation)

    assert shown.state is State.COMPLETED
    assert shown.output is not None
    assert shown.output["output_data"] == [{"runs": 2}]


async def test_a_server_that_does_not_answer_is_asked_again(lab: Lab, tmp_path: Path) -> None:
    operation = await trouble(lab, "transient", tmp_path / "marks", times=2)

    assert (await lab.ended(operation)).state is State.COMPLETED
    assert len(list((tmp_path / "marks").iterdir())) == 3


async def test_a_server_that_never_answers_fails_the_operation(lab: Lab) -> None:
    operation = await trouble(lab, "transient")

    shown = await lab.ended(operation)

    assert shown.state is State.FAILED
    assert shown.message == "Gaia does not answer. It was tried 4 times; retry the operation later."


async def test_what_libraries_print_is_no_answer(lab: Lab) -> None:
    operation = await trouble(lab, "chatter")

    assert (await lab.ended(operation)).state is State.COMPLETED


async def test_what_takes_too_long_is_ended(platform: Platform, archive: ArchiveSimulator) -> None:
    async with running_lab(platform, archive, time_limit=timedelta(seconds=0.3)) as lab:
        shown = await lab.ended(await trouble(lab, "hang"))

    assert shown.state is State.FAILED
    assert shown.message == "Trouble could not be computed: it took longer than 0.3 s"


async def test_a_process_stays_warm_and_ends_when_idle(platform: Platform, archive: ArchiveSimulator) -> None:
    async with running_lab(platform, archive, idle=timedelta(seconds=0.6)) as lab:
        await lab.ended(await lab.ask("Sum", frames("frame1")))
        (first,) = children(platform)
        await lab.ended(await lab.ask("Sum", frames("frame2")))
        assert children(platform) == [first]
        await asyncio.to_thread(psutil.wait_procs, [psutil.Process(first)], 10)
        assert children(platform) == []


async def test_a_warm_process_that_was_killed_is_replaced(lab: Lab) -> None:
    await lab.ended(await lab.ask("Sum", frames("frame1")))
    (process,) = children(lab.platform)
    os.kill(process, signal.SIGKILL)

    shown = await lab.ended(await lab.ask("Sum", frames("frame2")))

    assert shown.state is State.COMPLETED


async def test_progress_only_grows_and_stays_within_one(lab: Lab) -> None:
    operation = await lab.ask("Sum", frames("frame1") | {"take_s": 1.7})
    seen = []
    while not (shown := await lab.shown(operation)).state.is_final:
        seen.append(shown.progress)
        await asyncio.sleep(0.05)
    seen.append(shown.progress)

    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] == 1.0
    assert len(set(seen)) > 1


def children(platform: Platform) -> list[int]:
    """Return the processes that compute for a lab; those of others may live in this process, too."""
    mine = str(platform.settings.home)
    return [one.pid for one in psutil.Process().children() if mine in _compiled_code_of(one)]


def _compiled_code_of(process: psutil.Process) -> str:
    try:
        return str(process.environ().get("NUMBA_CACHE_DIR", ""))
    except psutil.Error:
        return ""
