"""Makes a backup while services run."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from flightline.backup.copying import copy_objects
from flightline.backup.cut import copy, cut
from flightline.backup.documents import SPECS
from flightline.backup.manifest import (
    BUS,
    FORM,
    KEYS,
    MANIFEST,
    OBJECT_LIST,
    SEAL,
    STATE,
    Manifest,
    check_database,
    connected,
    seal_of,
    stored_file,
)
from flightline.display import Display
from flightline.pipeline import SUBSCRIPTIONS
from flightline.session import PATIENCE
from shared.errors import ConflictError, InvalidInputError
from shared.messaging.bus import open_transport
from shared.messaging.port import UNROUTED_QUEUE, Topology
from shared.messaging.sqlite import open_sqlite
from shared.objects.disk import errors_translated, sync_folder
from shared.objects.open import folder_path
from shared.platform import open_object_store
from shared.settings import PlatformSettings
from shared.sqlite import open_database
from shared.state import AlreadyExistsError, CollectionSpec, Store
from shared.state.open import open_store, sqlite_path
from shared.state.sqlite import SqliteStore

DOCUMENTS_AT_ONCE = 250
KEY_FILES = ("secrets-key", "internal-token", "datalab-url-key")
"""Secrets that services made themselves; others are kept by who made them."""


@dataclass(frozen=True, slots=True)
class _Source:
    settings: PlatformSettings

    @property
    def state(self) -> Path | None:
        """Return the file of the embedded store, if it is that."""
        return sqlite_path(self.settings.state) if self.settings.state.startswith("sqlite:") else None

    @property
    def bus(self) -> Path | None:
        """Return the file of the embedded bus, if it is that."""
        return sqlite_path(self.settings.bus) if self.settings.bus.startswith("sqlite:") else None


async def make_backup(settings: PlatformSettings, folder: Path, show: Display) -> Manifest:
    """Back up what ``settings`` name into the new ``folder``, which is there whole or not at all.

    Raises:
        InvalidInputError: The folder holds something, or lies where the objects do.
        ConflictError: Another process makes this backup.
        DamagedError: A file of the embedded backends is damaged.
        StorageFullError: There is too little room for it; nothing is left of it.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    with errors_translated(folder.parent):
        _check_place(settings, folder)
        with _alone(partial):
            try:
                manifest = await _filled(settings, partial, show)
                await asyncio.to_thread(_publish, partial, folder, manifest)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    return manifest


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Have the folder ``partial``, with nothing in it, to ourselves: what is in it was broken off.

    Raises:
        ConflictError: Another process fills it.
    """
    partial.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _is_locked(lock) or not partial.exists() or partial.stat().st_ino != os.fstat(lock).st_ino:
            raise ConflictError(f"another process makes a backup in {partial}: wait for it")
        for path in partial.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield
    finally:
        os.close(lock)


def _is_locked(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_place(settings: PlatformSettings, folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"{folder} holds something already: name a new folder", field="FOLDER")
    objects = [folder_path(settings.objects)] if settings.objects.startswith("file:") else []
    for ours in (settings.home, *objects):
        if folder.resolve().is_relative_to(ours.resolve()):
            raise InvalidInputError(
                f"{folder} lies in {ours}, which is to be backed up: name a folder on another disk",
                field="FOLDER",
            )


async def _filled(settings: PlatformSettings, folder: Path, show: Display) -> Manifest:
    source = _Source(settings)
    made_at = datetime.now(UTC)
    await asyncio.to_thread(_cut_files, source, folder)
    if source.bus is None:
        await _copy_dead_letters(settings, folder / BUS)
    if source.state is None:
        await _copy_documents(settings, folder / STATE, show)
    await asyncio.to_thread(_quiet, folder / BUS)
    for name in (STATE, BUS):
        await asyncio.to_thread(check_database, folder / name)
    _copy_keys(settings, folder)
    count = size_bytes = gone = 0
    is_included = settings.objects.startswith("file:")
    if is_included:
        async with open_object_store(settings) as objects:
            count, size_bytes, gone = await copy_objects(objects, folder, show)
    return Manifest(
        form=FORM,
        release=version("flightline"),
        made_at=made_at,
        is_cut=source.state is not None and source.bus is not None,
        objects_url=settings.objects,
        objects_included=is_included,
        documents=await asyncio.to_thread(_counts, folder / STATE, [spec.name for spec in SPECS]),
        messages=await asyncio.to_thread(_queues, folder / BUS, "messages"),
        dead_letters=await asyncio.to_thread(_queues, folder / BUS, "dead"),
        object_count=count,
        object_bytes=size_bytes,
        objects_gone=gone,
        files=await asyncio.to_thread(_files, folder),
    )


def _cut_files(source: _Source, folder: Path) -> None:
    files = {BUS: source.bus, STATE: source.state}
    embedded = {name: path for name, path in files.items() if path is not None}
    with cut(list(embedded.values())) as readers:
        for name, reader in zip(embedded, readers, strict=True):
            copy(reader, folder / name)


async def _copy_dead_letters(settings: PlatformSettings, path: Path) -> None:
    """Write the dead letters of a broker into an embedded bus; what waits for services is not its to read."""
    topology = Topology(SUBSCRIPTIONS, settings.retry_ladder)
    async with open_transport(settings.bus, start_within=PATIENCE) as broker, open_sqlite(path) as copied:
        await broker.declare(topology)
        await copied.declare(topology)
        for queue in (*(subscription.queue for subscription in SUBSCRIPTIONS), UNROUTED_QUEUE):
            async with aclosing(broker.dead_letters(queue)) as letters:
                async for letter in letters:
                    await copied.restore(letter)
    shutil.rmtree(path.with_name(f"{path.name}.owners"), ignore_errors=True)
    shutil.rmtree(path.with_name(f"{path.name}.broadcast"), ignore_errors=True)


async def _copy_documents(settings: PlatformSettings, path: Path, show: Display) -> None:
    async with open_store(settings.state) as store, open_database(path) as database:
        await store.declare(*SPECS)
        copied = SqliteStore(database)
        await copied.declare(*SPECS)
        for number, spec in enumerate(SPECS, 1):
            await copy_collection(store, copied, spec)
            show.stage("documents", number, len(SPECS))


async def copy_collection(source: Store, target: Store, spec: CollectionSpec) -> int:
    """Add every document of a collection to ``target`` as it is, some at a time; return how many."""
    count, cursor = 0, None
    while True:
        page = await source.find(spec.name, {}, limit=DOCUMENTS_AT_ONCE, after=cursor)
        outcomes = await asyncio.gather(
            *(target.insert(spec.name, record) for record in page.records), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, AlreadyExistsError):
                raise outcome
        count += len(outcomes)
        cursor = page.cursor
        if cursor is None:
            return count


def _quiet(path: Path) -> None:
    """Take the messages out of the hands of those who had them: where this is restored they do not live."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("UPDATE messages SET owner = NULL")
        connection.execute("DELETE FROM tails")


def _copy_keys(settings: PlatformSettings, folder: Path) -> None:
    (folder / KEYS).mkdir(mode=0o700)
    for name in KEY_FILES:
        if (settings.home / name).exists():
            shutil.copy2(settings.home / name, folder / KEYS / name)
            (folder / KEYS / name).chmod(0o600)


def _counts(path: Path, tables: list[str]) -> dict[str, int]:
    with connected(path) as connection:
        there = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        return {
            table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - our names
            for table in tables
            if table in there
        }


def _queues(path: Path, table: str) -> dict[str, int]:
    with connected(path) as connection:
        return dict(connection.execute(f"SELECT queue, count(*) FROM {table} GROUP BY queue"))  # noqa: S608


def _files(folder: Path) -> dict[str, object]:
    names = [STATE, BUS, *(f"{KEYS}/{path.name}" for path in sorted((folder / KEYS).iterdir()))]
    if (folder / OBJECT_LIST).exists():
        names.append(OBJECT_LIST)
    return {name: stored_file(folder / name) for name in names}


def _publish(partial: Path, folder: Path, manifest: Manifest) -> None:
    """Write the manifest last, with all before it on disk, and give the folder its name."""
    for name in manifest.files:
        _sync(partial / name)
    sync_folder(partial / KEYS)
    text = f"{manifest.model_dump_json(indent=1)}\n".encode()
    (partial / MANIFEST).write_bytes(text)
    (partial / SEAL).write_text(seal_of(text), encoding="utf-8")
    _sync(partial / MANIFEST)
    _sync(partial / SEAL)
    sync_folder(partial)
    if folder.exists():
        folder.rmdir()
    partial.rename(folder)
    sync_folder(folder.parent)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
