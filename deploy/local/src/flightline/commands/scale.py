"""``flightline scale``: images of this machine, scaled into a folder."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flightline.session import session
from scaler.domain.asks import FACTORS, IMAGE_SUFFIXES, Asks, Interpolation, RejectedError
from shared.errors import InvalidInputError
from shared.exits import FAILED

if TYPE_CHECKING:
    from flightline.display import Display
    from flightline.scaled_files import Outcome
    from scaler.codecs import Codecs

_FACTOR_HELP = f"How many times as wide and high, {FACTORS[0]:g} to {FACTORS[1]:g}."
_QUALITY_HELP = "Of JPEG and lossy WebP, 1 to 100; else that of the source, or 90 for WebP."


def scale(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Images, or folders with images directly in them.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the scaled images go.")],
    factor: Annotated[float, typer.Option("--factor", help=_FACTOR_HELP)] = 2.0,
    interpolation: Annotated[
        Interpolation, typer.Option("--interpolation", help="How new pixels are made of old ones.")
    ] = Interpolation.LINEAR,
    quality: Annotated[int | None, typer.Option("--quality", help=_QUALITY_HELP)] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, by the images' headers.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and no progress.")] = False,
) -> None:
    """Scale images, with their metadata; nothing is ever overwritten.

    Exit codes: 0 all are scaled, 1 some could not be, 2 bad input, 75 try again later.
    """
    with session("scale", quiet_logs=True, as_json=as_json):
        began_s = time.monotonic()
        asks = Asks(factor, interpolation, quality)
        named = list(_images(files))
        outcomes = asyncio.run(_scaled(named, out, asks, dry_run=dry_run, quiet=as_json))
        document = as_document(outcomes, time.monotonic() - began_s, dry_run=dry_run)
        typer.echo(json.dumps(document, indent=1) if as_json else as_text(document))
        for one in outcomes:
            if one.code:
                typer.echo(f"flightline scale: {one.source}: {one.reason} ({one.code})", err=True)
        if any(one.code for one in outcomes):
            sys.exit(FAILED)


def _images(named: list[Path]) -> Iterator[Path]:
    """Yield the images that are named, and those in folders, each once.

    Raises:
        InvalidInputError: There is nothing of such a name, or no image in a folder.
    """
    known: set[Path] = set()
    for path in named:
        found = [path]
        if path.is_dir():
            found = sorted(
                one for one in path.iterdir() if one.suffix.lower() in IMAGE_SUFFIXES and one.is_file()
            )
        elif not path.exists():
            raise InvalidInputError(f"there is no {path}", field="FILE", value=str(path))
        if not found:
            raise InvalidInputError(f"there is no image in {path}", field="FILE", value=str(path))
        for one in found:
            if one.resolve() not in known:
                known.add(one.resolve())
                yield one


async def _scaled(named: list[Path], out: Path, asks: Asks, *, dry_run: bool, quiet: bool) -> list[Outcome]:
    from flightline.display import display  # noqa: PLC0415 - so that --help is quick
    from flightline.scaled_files import prepare  # noqa: PLC0415
    from scaler.codecs import Codecs  # noqa: PLC0415

    if not dry_run:
        prepare(out)
    outcomes: dict[int, Outcome] = {}
    async with Codecs(niceness=0) as codecs:
        with display(quiet=quiet) as shown:
            numbers = iter(range(len(named)))
            async with asyncio.TaskGroup() as group:
                for _ in range(codecs.slots + 1):  # one more reads and writes meanwhile
                    work = _work(numbers, named, out, asks, codecs, outcomes, shown, dry_run=dry_run)
                    group.create_task(work)
    return [outcomes[number] for number in sorted(outcomes)]


async def _work(
    numbers: Iterator[int],
    named: list[Path],
    out: Path,
    asks: Asks,
    codecs: Codecs,
    outcomes: dict[int, Outcome],
    shown: Display,
    *,
    dry_run: bool,
) -> None:
    from flightline.scaled_files import Outcome, foreseen, scaled_file  # noqa: PLC0415 - as above

    for number in numbers:
        source = named[number]
        try:
            work = foreseen(source, asks) if dry_run else scaled_file(source, out, asks, codecs)
            outcomes[number] = await work
        except RejectedError as error:
            outcomes[number] = Outcome(str(source), code=error.code, reason=str(error))
        shown.stage("scaling", len(outcomes), len(named), f"{len(outcomes)} of {len(named)} images")


def as_document(outcomes: list[Outcome], seconds: float, *, dry_run: bool) -> dict[str, Any]:
    """Return the result for programs."""
    return {
        "dry_run": dry_run,
        "scaled": sum(one.is_new for one in outcomes),
        "unchanged": sum(not one.is_new and not one.code for one in outcomes),
        "rejected": sum(bool(one.code) for one in outcomes),
        "bytes": sum(one.bytes for one in outcomes),
        "seconds": round(seconds, 2),
        "images": [asdict(one) for one in outcomes],
    }


def as_text(document: dict[str, Any]) -> str:
    """Return the result for people."""
    would = "would be " if document["dry_run"] else ""
    done = [one for one in document["images"] if not one["code"]]
    lines = []
    if document["dry_run"]:
        lines += [f"{one['target']}: {one['width']} x {one['height']} pixels" for one in done]
    counts = [f"{_counted(document['scaled'], 'image')} {would}scaled"]
    if document["unchanged"]:
        counts.append(f"{document['unchanged']} there already")
    if document["rejected"]:
        counts.append(f"{document['rejected']} rejected")
    size = "" if document["dry_run"] else f", {document['bytes'] / 1e6:.1f} MB"
    lines.append(f"{', '.join(counts)}{size} in {document['seconds']} s")
    told: dict[str, int] = {}
    for note in (note for one in done for note in one["notes"]):
        told[note] = told.get(note, 0) + 1
    lines += [f"of {_counted(count, 'image')}: {note}" for note, count in told.items()]
    return "\n".join(lines)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
