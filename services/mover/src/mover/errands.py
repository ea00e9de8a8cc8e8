"""What the command does instead of serving: one run, or only its plan."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from mover.config import Settings
from mover.domain.telling import line_text, plan_text, report_text
from mover.runs import Runs, open_runs
from shared.errors import PermanentError, TransientError
from shared.exits import IN_PART, exit_code
from shared.settings import PlatformSettings, load
from shared.state.open import open_store


async def move_once(settings: Settings) -> int:
    """Run once, tell of each file, and return the exit code."""

    async def moved(runs: Runs) -> int:
        report = await runs.now(lambda line: _say(line_text(line)))
        for line in await runs.left():
            _say(line_text(line))
        _say(report_text(report))
        for error in report.errors:
            _complain(error)
        return IN_PART if report.errors else 0

    return await _errand(settings, moved)


async def tell_plan(settings: Settings) -> int:
    """Tell what a run would do, and return the exit code."""

    async def told(runs: Runs) -> int:
        _say(plan_text(await runs.plan()))
        return 0

    return await _errand(settings, told)


async def _errand(settings: Settings, doing: Callable[[Runs], Awaitable[int]]) -> int:
    try:
        async with _runs(settings) as runs:
            return await doing(runs)
    except (PermanentError, TransientError) as error:
        _complain(error)
        return exit_code(error)


@asynccontextmanager
async def _runs(settings: Settings) -> AsyncIterator[Runs]:
    platform = load(PlatformSettings)
    async with open_store(platform.state) as store, open_runs(settings, platform, store) as runs:
        yield runs


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _complain(error: object) -> None:
    sys.stderr.write(f"mover: {error}\n")
