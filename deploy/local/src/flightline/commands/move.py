"""``flightline move``: put files on Nextcloud into the folders that their tags name."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flightline.session import session
from shared.exits import IN_PART

if TYPE_CHECKING:
    from mover.domain.moves import Move
    from mover.domain.reports import Plan, Report
    from mover.runs import Runs
    from shared.settings import PlatformSettings


def move(
    *,
    once: Annotated[
        bool,
        typer.Option("--once", help="Move what is tagged now, and end; else go on every MOVER_FREQUENCY."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be moved where, change nothing, and end.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; without --once, a line for each run.")
    ] = False,
) -> None:
    """Put files on Nextcloud into the folders that their tags name, such as ai:cats.

    Exit codes: 0 done, 1 failed, 2 bad input, 3 done but for what is told as errors, 75 try again later.
    """
    with session("move", quiet_logs=True, as_json=as_json) as settings:
        if dry_run:
            plan = asyncio.run(_plan(settings))
            typer.echo(plan.model_dump_json(indent=1) if as_json else _plan_text(plan))
        elif once:
            sys.exit(asyncio.run(_once(settings, as_json=as_json)))
        else:
            asyncio.run(_again_and_again(settings, as_json=as_json))


@asynccontextmanager
async def _runs(settings: PlatformSettings) -> AsyncIterator[Runs]:
    from mover.config import Settings  # noqa: PLC0415 - so that --help is quick
    from mover.runs import open_runs  # noqa: PLC0415
    from shared.settings import load  # noqa: PLC0415
    from shared.state.open import open_store  # noqa: PLC0415

    async with open_store(settings.state) as store, open_runs(load(Settings), settings, store) as runs:
        yield runs


async def _plan(settings: PlatformSettings) -> Plan:
    async with _runs(settings) as runs:
        return await runs.plan()


async def _once(settings: PlatformSettings, *, as_json: bool) -> int:
    async with _runs(settings) as runs:
        report = await _run(runs, as_json=as_json, with_left=True)
    return IN_PART if report.errors else 0


async def _again_and_again(settings: PlatformSettings, *, as_json: bool) -> None:
    """Run until Ctrl-C; a server that is out of reach is waited for."""
    from shared.errors import TransientError  # noqa: PLC0415 - so that --help is quick

    async with _runs(settings) as runs:
        while True:
            try:
                await _run(runs, as_json=as_json)
            except TransientError as error:
                typer.echo(f"flightline move: {error}", err=True)
            await asyncio.sleep(await runs.due_in_s())


async def _run(runs: Runs, *, as_json: bool, with_left: bool = False) -> Report:
    """Run once and tell of it; what stays is told where somebody looks only once."""
    lines: list[Move] = []
    report = await runs.now(lines.append if as_json else _tell)
    left = await runs.left() if with_left else []
    if as_json:
        typer.echo(json.dumps(_document(report, lines, left)))
    else:
        _tell_end(report, left)
    return report


def _tell(line: Move) -> None:
    from mover.domain.telling import line_text  # noqa: PLC0415 - so that --help is quick

    typer.echo(line_text(line))


def _tell_end(report: Report, left: list[Move]) -> None:
    from mover.domain.telling import report_text  # noqa: PLC0415 - so that --help is quick

    for line in left:
        _tell(line)
    typer.echo(report_text(report))
    for error in report.errors:
        typer.echo(f"flightline move: {error}", err=True)


def _plan_text(plan: Plan) -> str:
    from mover.domain.telling import plan_text  # noqa: PLC0415 - so that --help is quick

    return plan_text(plan)


def _document(report: Report, lines: list[Move], left: list[Move]) -> dict[str, Any]:
    fields = {"state", "source", "target", "category", "error"}
    return {
        **report.model_dump(mode="json"),
        "moves": [line.model_dump(mode="json", include=fields) for line in lines],
        "left_files": [line.model_dump(mode="json", include={"source", "why", "reason"}) for line in left],
        "exit_code": IN_PART if report.errors else 0,
    }
