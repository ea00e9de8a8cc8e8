"""``flightline run``: one flight through the whole pipeline."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flightline.session import session

if TYPE_CHECKING:
    from flightline.flight_run import Result
    from shared.settings import PlatformSettings

LISTED = 20
"""Images left out that are named to people."""


def run(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="FOLDER|URI", help="Images of a flight: a folder, file:///… or s3://…")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the products; without it, NAME-products here.")
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(min=0.1, max=8, help="Scale the images by this factor first."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Processing option, by ODM's name; repeatable."),
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and no progress.")
    ] = False,
) -> None:
    """Turn the images of a flight into an orthophoto. Run it again to go on where it was interrupted."""
    with session("run", quiet_logs=True, as_json=as_json) as settings:
        began = time.monotonic()
        result = asyncio.run(_run(settings, source, out, options or [], scale, context.obj, quiet=as_json))
        seconds = time.monotonic() - began
        typer.echo(
            json.dumps(as_document(result, seconds), indent=1) if as_json else as_text(result, seconds)
        )


async def _run(
    settings: PlatformSettings,
    source: str,
    out: Path | None,
    options: list[str],
    scale: float | None,
    worker: subprocess.Popen[bytes] | None,
    *,
    quiet: bool,
) -> Result:
    from flightline.early_worker import early_worker  # noqa: PLC0415 - so that --help is quick

    async with early_worker(worker) as spare:
        from flightline.display import display  # noqa: PLC0415 - while the worker imports its engine
        from flightline.flight_run import Wanted, flight_options, run_flight, source_uri  # noqa: PLC0415

        wanted = Wanted(source_uri(source), flight_options(options, scale), out)
        with display(quiet=quiet) as shown:
            return await run_flight(settings, wanted, shown, spare)


def as_document(result: Result, seconds: float) -> dict[str, Any]:
    """Return the result for programs."""
    run = result.run
    return {
        "flight_id": result.flight.flight_id,
        "name": result.flight.name,
        "version": run.version,
        "task_id": run.task_id,
        "status": run.state.value,
        "images": run.image_count,
        "seconds": round(seconds, 2),
        "out": str(result.out),
        "products": [str(path.relative_to(result.out)) for path in result.files],
        "summary": run.summary,
        "left_out": [file.model_dump() for file in result.left_out],
    }


def as_text(result: Result, seconds: float) -> str:
    """Return the result for people."""
    summary = result.run.summary
    lines = [f"Orthophoto of {result.flight.name} in {seconds:.1f} s: {_path(result, '.tif')}"]
    if preview := _path(result, ".png"):
        lines.append(f"Preview: {preview}")
    lines += [
        f"{name.replace('_', ' ')}: {_shown(value)}" for name, value in summary.items() if name != "left_out"
    ]
    lines += [f"left out: {file.path}: {file.reason}" for file in result.left_out[:LISTED]]
    if len(result.left_out) > LISTED:
        lines.append(f"left out: {len(result.left_out) - LISTED} more; --json names them all")
    return "\n".join(lines)


def _path(result: Result, suffix: str) -> str:
    found = (path for path in result.files if path.name == f"odm_orthophoto{suffix}")
    return str(next(found, ""))


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(_shown(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)
