"""Where uploaded bytes lie until there is a task, and how there comes to be one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from uuid import uuid4

import structlog

from odm_gateway.adapters.room import FULL, room_of
from odm_gateway.adapters.slots import AT_ONCE, AT_ONCE_ELSEWHERE, Slots
from odm_gateway.domain.manifest import Manifest, manifest_of
from odm_gateway.domain.tasks import Task
from odm_gateway.domain.uploads import Draft, Limits, UploadedFile, file_name
from shared.errors import InvalidInputError, PermanentError, StorageFullError, TransientError
from shared.objects.port import ObjectExistsError, ObjectStore
from shared.state import Collection

SUFFIX_AT_MOST_CHARACTERS = 12

log = structlog.get_logger()


@dataclass(slots=True)
class Shelf:
    """Keeps files of drafts, and makes tasks of them."""

    tasks: Collection[Task]
    objects: ObjectStore
    limits: Limits
    slots: Slots = field(init=False)

    def __post_init__(self) -> None:
        """Let fewer files be stored together in a store that keeps whole parts of each in memory."""
        is_here = room_of(self.objects).folder is not None
        self.slots = Slots(AT_ONCE if is_here else AT_ONCE_ELSEWHERE)

    @asynccontextmanager
    async def stored(
        self, draft: Draft, raw_name: str, content: AsyncIterator[bytes], before_bytes: int
    ) -> AsyncIterator[UploadedFile]:
        """Store content under a key of its own; it is deleted again when the block refuses it.

        Args:
            draft: Whose file it is.
            raw_name: Its name as the client sent it.
            content: Its bytes.
            before_bytes: Size of what the draft has so far.

        Raises:
            InvalidInputError: Its name cannot be used, or it is too much.
            PermanentError: The store is full.
            TransientError: The store is out of reach, or the content came too slowly while others waited.
        """
        name = file_name(raw_name)
        suffix = PurePosixPath(name).suffix.lower()[:SUFFIX_AT_MOST_CHARACTERS]
        key = f"{draft.prefix}/{uuid4().hex}{suffix}"
        try:
            async with self.slots.one(self._limited(content, before_bytes)) as arriving:
                stored = await self.objects.put(key, arriving)
        except StorageFullError as error:
            log.warning("upload.full", error=str(error))
            raise PermanentError(FULL) from error
        assert stored.sha256
        file = UploadedFile(
            task_key=draft.task_key,
            upload=draft.upload,
            name=name,
            key=key,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            at_us=now_us(),
        )
        try:
            yield file
        except PermanentError:  # after anything else nobody knows whether it counts
            await self.discard(file)
            raise

    async def discard(self, file: UploadedFile) -> None:
        """Delete a file's bytes; where that fails, they go with the rest of the upload."""
        with suppress(TransientError):
            await self.objects.delete(file.key)

    async def make_task(self, draft: Draft, files: Iterable[UploadedFile]) -> Task:
        """Make the task of a draft; done again, after a crash at any step, it is the same task.

        Raises:
            InvalidInputError: Another task has taken the id.
        """
        manifest = await self._write_manifest(draft, manifest_of(file.listed() for file in files))
        task = draft.committed_task(datetime.now(UTC), len(manifest.images), manifest.total_bytes)
        made, is_new = await self.tasks.ensure(draft.task_key, task)
        if made.body.manifest != draft.manifest:
            raise taken(draft.task.id)
        if is_new:
            log.info("task.uploaded", task_id=task.id, images=task.image_count, size_bytes=task.total_bytes)
        return made.body

    async def _write_manifest(self, draft: Draft, manifest: Manifest) -> Manifest:
        """Store the manifest, or return the one that another commit of this draft has stored before."""
        content = manifest.model_dump_json().encode()
        try:
            await self.objects.put(draft.manifest, content, create_only=True, content_type="application/json")
        except ObjectExistsError:
            return Manifest.model_validate_json(await self.objects.read(draft.manifest))
        return manifest

    async def _limited(self, content: AsyncIterator[bytes], size_bytes: int) -> AsyncIterator[bytes]:
        async for chunk in room_of(self.objects).watched(content):
            size_bytes += len(chunk)
            self.limits.check_bytes(size_bytes)
            yield chunk


def taken(task_id: str) -> InvalidInputError:
    """Return NodeODM's words for an id that cannot be given."""
    return InvalidInputError(f"Invalid set-uuid: {task_id}", field="set-uuid")


def now_us() -> int:
    """Return the time in µs since 1970."""
    return time.time_ns() // 1000
