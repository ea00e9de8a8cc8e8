"""Takes in what a task is to process: finds out which files it has, and writes their list."""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from pydantic import ValidationError

from odm_gateway.adapters.archive import Archive, open_archive
from odm_gateway.adapters.intake_fetch import Say, Target, fetch_stored, work_file
from odm_gateway.adapters.room import FULL, Room, room_of
from odm_gateway.domain.archives import ARCHIVE_AT_MOST_BYTES
from odm_gateway.domain.choice import Choice
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.manifest import FILES_AT_MOST, ListedFile, Manifest, manifest_of
from odm_gateway.domain.sources import is_archive, is_web
from odm_gateway.domain.tasks import Source, Task, too_many_images
from shared.errors import InvalidInputError, NotFoundError, PermanentError, StorageFullError, TransientError
from shared.objects.port import ContentError, ObjectStore

FILES_AT_ONCE = 4
TOLD_EVERY_FILES = 100
SKIPPED_TOLD = 20
LOOKED_AT_AT_MOST = 2_000_000
LOOKED_AT_TOGETHER = 50

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What a task has to process."""

    manifest: str
    """Key of the list of its files."""
    image_count: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes in the files of tasks; done again after a crash, it does only what is missing."""

    objects: ObjectStore
    work_dir: Path | None = None
    """Where archives lie while they are unpacked; None: the system's folder for that."""
    allow_private_urls: bool = False
    max_archive_bytes: int = ARCHIVE_AT_MOST_BYTES
    """Of an archive, and of what it unpacks to."""
    max_images: int | None = None
    """Archives with more are not unpacked."""

    async def take(self, task: Task, say: Say) -> TakenIn:
        """Return what ``task`` has to process, once it is in place and listed.

        Raises:
            PermanentError: It cannot be had; the message is for the task's user.
            TransientError: A store or a server is out of reach, or full.
        """
        if task.manifest:
            return _taken(task.manifest, await read_manifest(self.objects, task.manifest))
        source = task.source or Source(uri=self.objects.uri(task.images))
        if is_web(source.uri) or is_archive(source.uri):
            manifest = await self._unpacked_or_removed(task, source, say)
        else:
            manifest = await self._listed(task, source)
        key = f"uploads/{task_key(task.id)}/manifest.json"
        content = manifest.model_dump_json().encode()
        await self.objects.put(key, content, content_type="application/json")
        return _taken(key, manifest)

    async def _listed(self, task: Task, source: Source) -> Manifest:
        """List what lies below a prefix, and stays there."""
        folder = f"{task.images.rstrip('/')}/"
        choice = Choice(source)
        files: list[ListedFile] = []
        looked_at = 0
        async for stored in self.objects.list(folder):
            path = stored.key.removeprefix(folder)
            if choice.counts(path):
                files.append(
                    ListedFile(path=path, key=stored.key, size_bytes=stored.size_bytes, sha256=stored.sha256)
                )
            looked_at += 1
            if looked_at % LOOKED_AT_TOGETHER == 0:  # a page of the store is there at once
                await asyncio.sleep(0)
            if len(files) > FILES_AT_MOST or looked_at > LOOKED_AT_AT_MOST:
                raise PermanentError(f"There are more than {FILES_AT_MOST} files at the given place.")
        return manifest_of(files)

    async def _unpacked_or_removed(self, task: Task, source: Source, say: Say) -> Manifest:
        """Unpack an archive; of one that does not come to its end nothing is kept."""
        try:
            return await self._unpacked(task, source, say)
        except StorageFullError as error:
            log.warning("intake.full", error=str(error))
            await self._remove(task)
            raise StorageFullError(FULL) from error
        except PermanentError:
            await self._remove(task)
            raise

    async def _remove(self, task: Task) -> None:
        try:
            for key in [stored.key async for stored in self.objects.list(f"{task.images}/")]:
                await self.objects.delete(key)
        except TransientError as error:  # it goes with the task
            log.warning("intake.left", error=str(error))

    async def _unpacked(self, task: Task, source: Source, say: Say) -> Manifest:
        """Fetch an archive, and store its files one by one."""
        async with self._fetched(source, say) as file:
            archive = await asyncio.to_thread(open_archive, file, self.max_archive_bytes)
            with closing(archive):
                if refusal := too_many_images(archive.plan.image_count, self.max_images):
                    raise PermanentError(refusal)
                await room_of(self.objects).check(archive.size_bytes)
                for name in archive.plan.skipped[:SKIPPED_TOLD]:
                    await say(f"Left out of the archive, because no file can be called so: {name!r}")
                return manifest_of(await self._store(task, archive, say))

    async def _store(self, task: Task, archive: Archive, say: Say) -> list[ListedFile]:
        wanted = archive.wanted()
        files: list[ListedFile] = []
        for start in range(0, len(wanted), FILES_AT_ONCE):
            batch = wanted[start : start + FILES_AT_ONCE]
            files += await _all_of([self._store_one(task, archive, *one) for one in batch])
            if len(files) == len(wanted) or start % TOLD_EVERY_FILES == 0:
                await say(f"Unpacking archive: {len(files)} of {len(wanted)} files")
        return files

    async def _store_one(self, task: Task, archive: Archive, name: str, info: zipfile.ZipInfo) -> ListedFile:
        key = f"{task.images}/{name}"
        crc32 = f"{info.CRC:08x}"
        stored = await self.objects.stat(key)
        if stored is None or (stored.size_bytes, stored.metadata.get("crc32")) != (info.file_size, crc32):
            try:
                content = room_of(self.objects).watched(archive.content(info))
                stored = await self.objects.put(
                    key, content, size_bytes=info.file_size, metadata={"crc32": crc32}
                )
            except ContentError as error:
                raise PermanentError(f"{info.filename!r} in the archive is damaged: {error}") from error
        return ListedFile(path=name, key=key, size_bytes=stored.size_bytes, sha256=stored.sha256)

    @asynccontextmanager
    async def _fetched(self, source: Source, say: Say) -> AsyncIterator[BinaryIO]:
        folder = (self.work_dir or Path(tempfile.gettempdir())) / "flightline-intake"
        with await asyncio.to_thread(work_file, folder) as file:
            target = Target(file, Room(folder), self.max_archive_bytes, say)
            if is_web(source.uri):
                from odm_gateway.adapters.intake_web import fetch_web  # noqa: PLC0415 - 0.2 s, seldom needed

                await fetch_web(source.uri, target, allow_private=self.allow_private_urls)
            else:
                await fetch_stored(self.objects, self._key(source.uri), target)
            yield file

    def _key(self, uri: str) -> str:
        try:
            return self.objects.key(uri)
        except InvalidInputError as error:
            raise PermanentError(str(error)) from error


async def read_manifest(objects: ObjectStore, key: str) -> Manifest:
    """Return a manifest, with roles.

    Raises:
        PermanentError: It is gone, or none.
    """
    try:
        return Manifest.model_validate_json(await objects.read(key)).with_roles()
    except (NotFoundError, ValidationError) as error:
        raise PermanentError(f"The list of staged files cannot be read: {error}") from error


async def _all_of(storing: list[Coroutine[Any, Any, ListedFile]]) -> list[ListedFile]:
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one) for one in storing]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [done.result() for done in running]


def _taken(key: str, manifest: Manifest) -> TakenIn:
    return TakenIn(key, len(manifest.images), manifest.total_bytes)
