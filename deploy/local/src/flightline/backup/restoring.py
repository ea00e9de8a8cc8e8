"""Puts a backup into backends in which nothing lies yet."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
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
    stored_file,
    verified,
)
from flightline.backup.places import is_in_the_way, is_in_use, place, set_aside
from flightline.backup.retelling import Told, retell
from flightline.display import Display
from flightline.pipeline import SUBSCRIPTIONS
from flightline.session import PATIENCE
from shared.errors import ConflictError, InvalidInputError, PermanentError
from shared.messaging.bus import open_transport
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.port import DeadLetter, Message, Topology, UnroutableError
from shared.messaging.sqlite_queue import dead_after
from shared.objects.disk import errors_translated
from shared.objects.file import FileObjects
from shared.platform import open_object_store, open_platform
from shared.settings import PlatformSettings
from shared.sqlite import open_database
from shared.state.open import open_store, sqlite_path
from shared.state.sqlite import SqliteStore

LETTERS_AT_ONCE = 100


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
    with errors_translated(settings.home):
        occupied = await asyncio.to_thread(_occupied, embedded, manifest)
        await _check_free(settings, occupied, embedded, force=force)
        occupied += await asyncio.to_thread(_keys_in_the_way, settings, folder)
        if dry_run:
            return Restored(manifest, [str(path) for path in occupied], Told())
        aside = await asyncio.to_thread(set_aside, occupied)
        if manifest.objects_included:
            await _restore_objects(settings, folder, manifest, show)
        await asyncio.to_thread(_restore_keys, settings, folder)
        for name, path in embedded.items():
            await asyncio.to_thread(place, folder / name, path)
        if STATE not in embedded:
            await _restore_documents(settings, folder, show)
        if BUS not in embedded:
            await _restore_messages(settings, folder)
    told = Told() if manifest.is_cut and BUS in embedded else await _told_again(settings, manifest)
    return Restored(manifest, aside, told)


def _embedded(settings: PlatformSettings) -> dict[str, Path]:
    """Return the files of embedded backends by what the backup calls them, the bus before the state."""
    urls = {BUS: settings.bus, STATE: settings.state}
    return {name: sqlite_path(url) for name, url in urls.items() if url.startswith("sqlite:")}


def _occupied(embedded: dict[str, Path], manifest: Manifest) -> list[Path]:
    return [path for name, path in embedded.items() if is_in_the_way(path, manifest.files[name])]


async def _check_free(
    settings: PlatformSettings, occupied: list[Path], embedded: dict[str, Path], *, force: bool
) -> None:
    for path in embedded.values():
        if await asyncio.to_thread(is_in_use, path):
            raise ConflictError(f"services run on {path}: stop them first")
    if occupied and not force:
        there = " and ".join(map(str, occupied))
        raise ConflictError(f"{there} are there already: --force sets them aside, under another name")
    if STATE not in embedded:
        await _check_empty(settings)
    if BUS not in embedded:
        await _check_silent(settings)


async def _check_empty(settings: PlatformSettings) -> None:
    async with open_store(settings.state) as store:
        await store.declare(*SPECS)
        filled = [spec.name for spec in SPECS if await store.count(spec.name, {})]
    if filled:
        named = f"{', '.join(filled[:3])}{', …' if filled[3:] else ''}"
        raise ConflictError(
            f"the database has documents already ({named}), perhaps of a restore that was broken off: name a"
            " new one in FLIGHTLINE_STATE, or drop this one"
        )


async def _check_silent(settings: PlatformSettings) -> None:
    """Raise ``ConflictError`` where somebody would hear what is put back before all of it is there."""
    heard = []
    async with open_transport(settings.bus, start_within=PATIENCE) as broker:
        for subscription in SUBSCRIPTIONS:
            with suppress(PermanentError):  # a queue that nobody has declared yet
                if (await broker.counts(subscription.queue, ())).consumers:
                    heard.append(subscription.service)
    if heard:
        named = ", ".join(sorted(set(heard)))
        raise ConflictError(f"{named} listens to the broker: stop all services first")


def _keys(settings: PlatformSettings, folder: Path) -> dict[Path, Path]:
    """Return where each key of the backup belongs."""
    return {path: settings.home / path.name for path in sorted((folder / KEYS).iterdir())}


def _keys_in_the_way(settings: PlatformSettings, folder: Path) -> list[Path]:
    keys = _keys(settings, folder).items()
    return [target for path, target in keys if is_in_the_way(target, stored_file(path))]


def _restore_keys(settings: PlatformSettings, folder: Path) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    for path, target in _keys(settings, folder).items():
        place(path, target, mode=0o600)


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
    async with open_transport(settings.bus, start_within=PATIENCE) as broker:
        await broker.declare(topology)
        await DeadLetters(broker, topology).restore(_dead(folder))
        for message in _waiting(folder):
            with suppress(UnroutableError):  # it lies where nobody had heard it before
                await broker.publish(message)


def _dead(folder: Path) -> Iterator[DeadLetter]:
    """Iterate over the dead letters, queue by queue."""
    with connected(folder / BUS) as connection:
        queues = connection.execute("SELECT DISTINCT queue FROM dead").fetchall()
        for (queue,) in queues:
            after = 0
            while letters := dead_after(connection, queue, after, LETTERS_AT_ONCE):
                yield from letters
                after = int(letters[-1].id)


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
