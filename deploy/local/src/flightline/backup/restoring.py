"""Puts a backup into backends in which nothing lies yet."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from flightline.backup.copying import copied
from flightline.backup.documents import SPECS
from flightline.backup.making import copy_collection
from flightline.backup.manifest import (
    BUS,
    KEYS,
    OBJECTS,
    STATE,
    Manifest,
    connected,
    object_lines,
    verified,
)
from flightline.backup.retelling import Told, retell
from flightline.display import Display
from flightline.pipeline import SUBSCRIPTIONS
from flightline.session import PATIENCE
from shared.errors import ConflictError, InvalidInputError
from shared.messaging.bus import open_transport
from shared.messaging.port import Message, Topology, UnroutableError
from shared.messaging.sqlite import open_sqlite
from shared.messaging.sqlite_owners import Owner
from shared.objects.disk import errors_translated, sync_folder
from shared.objects.file import FileObjects
from shared.platform import open_object_store, open_platform
from shared.settings import PlatformSettings
from shared.sqlite import open_database
from shared.state.open import open_store, sqlite_path
from shared.state.sqlite import SqliteStore

BESIDE = ("-wal", "-shm")
"""What SQLite may have beside a file."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, or would do."""

    manifest: Manifest
    set_aside: list[str]
    """What was there, and where it is now."""
    told: Told


async def restore(
    settings: PlatformSettings, folder: Path, show: Display, *, dry_run: bool = False, force: bool = False
) -> Restored:
    """Check every byte of the backup in ``folder`` and put it into the backends of ``settings``.

    Args:
        settings: Where to.
        folder: The backup.
        show: Hears how far it is.
        dry_run: Look whether it could be done, and change nothing.
        force: Set files of embedded backends aside that are there.

    Raises:
        InvalidInputError: There is no backup, or its objects belong elsewhere.
        ConflictError: Something is there already, or services run.
        DamagedError: The backup is not as it was written.
    """
    manifest = await verified(folder, show)
    if settings.objects != manifest.objects_url:
        raise InvalidInputError(
            f"documents of this backup name objects below {manifest.objects_url}: set FLIGHTLINE_OBJECTS to"
            f" that, and not to {settings.objects}",
            field="FLIGHTLINE_OBJECTS",
        )
    embedded = _embedded(settings)
    occupied = [path for path in embedded.values() if path.exists()]
    await _check_free(settings, occupied, force=force)
    if dry_run:
        return Restored(manifest, [str(path) for path in occupied], Told())
    with errors_translated(settings.home):
        set_aside = await asyncio.to_thread(_set_aside, occupied)
        if manifest.objects_included:
            await _restore_objects(settings, folder, manifest, show)
        await asyncio.to_thread(_restore_keys, settings, folder)
        for name, path in embedded.items():
            await asyncio.to_thread(_place, folder / name, path)
        if STATE not in embedded:
            await _restore_documents(settings, folder, show)
        if BUS not in embedded:
            await _restore_messages(settings, folder)
    told = Told() if manifest.is_cut and BUS in embedded else await _told_again(settings, manifest)
    return Restored(manifest, set_aside, told)


def _embedded(settings: PlatformSettings) -> dict[str, Path]:
    """Return the files of embedded backends by what the backup calls them, the bus before the state."""
    urls = {BUS: settings.bus, STATE: settings.state}
    return {name: sqlite_path(url) for name, url in urls.items() if url.startswith("sqlite:")}


async def _check_free(settings: PlatformSettings, occupied: list[Path], *, force: bool) -> None:
    if any([await asyncio.to_thread(_is_in_use, path) for path in occupied]):
        raise ConflictError(f"services run on {occupied[0].parent}: stop them first")
    if occupied and not force:
        there = " and ".join(map(str, occupied))
        raise ConflictError(f"{there} are there already: --force sets them aside, under another name")
    if not settings.state.startswith("sqlite:"):
        await _check_empty(settings)


def _is_in_use(path: Path) -> bool:
    """Return whether a process has the embedded bus at ``path`` open."""
    folder = path.with_name(f"{path.name}.owners")
    if not folder.exists():
        return False
    owner = Owner(folder)
    try:
        return any(owner.is_alive(other.name) for other in folder.iterdir() if other.name != owner.name)
    finally:
        owner.close()


async def _check_empty(settings: PlatformSettings) -> None:
    async with open_store(settings.state) as store:
        await store.declare(*SPECS)
        filled = [spec.name for spec in SPECS if await store.count(spec.name, {})]
    if filled:
        raise ConflictError(
            f"the database has documents already ({', '.join(filled[:3])}{', …' if filled[3:] else ''}): name"
            " a new one in FLIGHTLINE_STATE, or drop this one"
        )


def _set_aside(paths: list[Path]) -> list[str]:
    """Rename files that are in the way; nothing is ever deleted."""
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    aside: list[str] = []
    for path in paths:
        for part in (path, *(path.with_name(path.name + suffix) for suffix in BESIDE)):
            if part.exists():
                target = part.with_name(f"{path.name}.before-{moment}{part.name.removeprefix(path.name)}")
                part.rename(target)
                aside.append(str(target))
    return aside


def _place(source: Path, target: Path) -> None:
    """Copy a file of the backup to where it belongs, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".restore-") as folder:
        copy = Path(folder, source.name)
        shutil.copyfile(source, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        copy.rename(target)
    sync_folder(target.parent)


def _restore_keys(settings: PlatformSettings, folder: Path) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    for path in sorted((folder / KEYS).iterdir()):
        _place(path, settings.home / path.name)
        (settings.home / path.name).chmod(0o600)


async def _restore_objects(
    settings: PlatformSettings, folder: Path, manifest: Manifest, show: Display
) -> None:
    """Store what is not there yet with the same content; a restore that was broken off goes on so."""
    source = await asyncio.to_thread(FileObjects, folder / OBJECTS)
    done = 0
    async with open_object_store(settings) as objects:
        for line in object_lines(folder):
            there = await objects.stat(line.key)
            if there is None or there.sha256 != line.sha256:
                await copied(source, objects, line.key)
            done += line.size_bytes
            show.stage("objects", done, manifest.object_bytes)


async def _restore_documents(settings: PlatformSettings, folder: Path, show: Display) -> None:
    with TemporaryDirectory(prefix="flightline-restore-") as scratch:
        copy = Path(scratch, STATE)
        await asyncio.to_thread(shutil.copyfile, folder / STATE, copy)  # to open one writes to it
        async with open_database(copy) as database, open_store(settings.state) as store:
            source = SqliteStore(database)
            await source.declare(*SPECS)
            await store.declare(*SPECS)
            for number, spec in enumerate(SPECS, 1):
                await copy_collection(source, store, spec)
                show.stage("documents", number, len(SPECS))


async def _restore_messages(settings: PlatformSettings, folder: Path) -> None:
    """Put dead letters back where they lay, and tell everybody of what waited for somebody."""
    topology = Topology(SUBSCRIPTIONS, settings.retry_ladder)
    with TemporaryDirectory(prefix="flightline-restore-") as scratch:
        copy = Path(scratch, BUS)
        await asyncio.to_thread(shutil.copyfile, folder / BUS, copy)
        async with open_transport(settings.bus, start_within=PATIENCE) as broker, open_sqlite(copy) as source:
            await broker.declare(topology)
            for queue in _queues_with_dead_letters(folder):
                async with aclosing(source.dead_letters(queue)) as letters:
                    async for letter in letters:
                        await broker.restore(letter)
            for message in _waiting(folder):
                with suppress(UnroutableError):  # it lies where nobody had heard it before
                    await broker.publish(message)


def _queues_with_dead_letters(folder: Path) -> list[str]:
    with connected(folder / BUS) as connection:
        return [queue for (queue,) in connection.execute("SELECT DISTINCT queue FROM dead")]


def _waiting(folder: Path) -> Iterator[Message]:
    """Iterate over what waited, each once, however many queues it was in."""
    with connected(folder / BUS) as connection:
        rows = connection.execute(
            "SELECT body, routing_key, event_id, headers, content_type FROM messages"
            " GROUP BY routing_key, event_id ORDER BY min(id)"
        )
        for body, routing_key, event_id, headers, content_type in rows:
            yield Message(body, routing_key, event_id, json.loads(headers), content_type)


async def _told_again(settings: PlatformSettings, manifest: Manifest) -> Told:
    async with open_platform(settings, SUBSCRIPTIONS, start_within=PATIENCE) as platform:
        return await retell(platform, before=manifest.made_at)
