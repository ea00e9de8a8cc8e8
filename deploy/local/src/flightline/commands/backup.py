"""``flightline backup``, ``restore`` and ``retell``: what cannot be made again, in one folder, and back."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flightline.session import PATIENCE, session
from shared.errors import InvalidInputError

if TYPE_CHECKING:
    from flightline.backup.manifest import Manifest
    from flightline.backup.restoring import Restored
    from flightline.backup.retelling import Told
    from shared.settings import PlatformSettings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing, say what would be done.")]


def backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, on another disk.")],
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the backup that is there, byte by byte.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Back up state, bus, keys and the objects of a folder, while services run."""
    with session("backup", quiet_logs=True, as_json=as_json) as settings:
        manifest = asyncio.run(_backup(settings, folder.absolute(), verify=verify, quiet=as_json))
        typer.echo(manifest.model_dump_json(indent=1) if as_json else _of_manifest(manifest, folder))


def restore(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A backup.")],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Set state.db and bus.db aside where others are there.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Check a backup, and put it into backends in which nothing lies yet; stop all services before."""
    with session("restore", quiet_logs=True, as_json=as_json) as settings:
        done = asyncio.run(_restore(settings, folder.absolute(), dry_run=dry_run, force=force, quiet=as_json))
        typer.echo(_json_of(done) if as_json else _text_of(done, dry_run=dry_run))


def retell(
    *,
    before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the broker was lost, or of when the restored state is, such as 2026-11-21T03:00Z;"
            " else now.",
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Tell again what a lost broker may have held; for a state that was restored by other means, too."""
    with session("retell", quiet_logs=True, as_json=as_json) as settings:
        told = asyncio.run(_retell(settings, _moment(before), dry_run=dry_run))
        typer.echo(json.dumps(dict(told.events), indent=1) if as_json else _of_told(told, dry_run=dry_run))


def _moment(text: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if text else datetime.now(UTC)
    except ValueError as wrong:
        raise InvalidInputError(f"--before {text}: {wrong}", field="--before", value=text) from wrong
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _backup(settings: PlatformSettings, folder: Path, *, verify: bool, quiet: bool) -> Manifest:
    from flightline.backup.making import make_backup  # noqa: PLC0415 - so that --help is quick
    from flightline.backup.manifest import verified  # noqa: PLC0415
    from flightline.display import display  # noqa: PLC0415

    with display(quiet=quiet) as show:
        return await (verified(folder, show) if verify else make_backup(settings, folder, show))


async def _restore(
    settings: PlatformSettings, folder: Path, *, dry_run: bool, force: bool, quiet: bool
) -> Restored:
    from flightline.backup.restoring import restore as put_back  # noqa: PLC0415 - so that --help is quick
    from flightline.display import display  # noqa: PLC0415

    with display(quiet=quiet) as show:
        return await put_back(settings, folder, show, dry_run=dry_run, force=force)


async def _retell(settings: PlatformSettings, before: datetime, *, dry_run: bool) -> Told:
    from flightline.backup.retelling import retell as tell_again  # noqa: PLC0415 - so that --help is quick
    from flightline.pipeline import SUBSCRIPTIONS  # noqa: PLC0415
    from shared.platform import open_platform  # noqa: PLC0415

    async with open_platform(settings, SUBSCRIPTIONS, start_within=PATIENCE) as platform:
        return await tell_again(platform, before=before, dry_run=dry_run)


def _of_manifest(manifest: Manifest, folder: Path) -> str:
    objects = (
        f"{manifest.object_count} objects of {manifest.object_bytes / 1e6:.1f} MB"
        if manifest.objects_included
        else f"no objects: they lie in {manifest.objects_url}"
    )
    return (
        f"{folder}: {sum(manifest.documents.values())} documents, {sum(manifest.messages.values())} messages,"
        f" {sum(manifest.dead_letters.values())} dead letters, {objects},"
        f" of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _text_of(done: Restored, *, dry_run: bool) -> str:
    manifest = done.manifest
    lines = [f"{'would set' if dry_run else 'set'} aside: {path}" for path in done.set_aside]
    verb = "would restore" if dry_run else "restored"
    lines.append(
        f"{verb} {sum(manifest.documents.values())} documents of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC;"
        " start the services"
    )
    return "\n".join(lines if dry_run else [*lines, _of_told(done.told, dry_run=False)])


def _of_told(told: Told, *, dry_run: bool) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in sorted(told.events.items()))
    return f"{'would tell' if dry_run else 'told'} again: {counts or 'nothing'}"


def _json_of(done: Restored) -> str:
    found = {
        "manifest": done.manifest.model_dump(mode="json"),
        "set_aside": done.set_aside,
        "told_again": dict(done.told.events),
    }
    return json.dumps(found, indent=1)
