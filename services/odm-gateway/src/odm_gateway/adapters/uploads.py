"""Uploads in several requests: drafts and what arrived for them, in the document store.

Any gateway serves any step. A file counts once its document is written while the draft is open; a commit
closes the draft first and lists the files then, and whoever repeats it comes to the same task.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

from odm_gateway.adapters.upload_shelf import Shelf, now_us, taken
from odm_gateway.domain.callers import Caller
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.manifest import counts_as_image
from odm_gateway.domain.sources import Folders
from odm_gateway.domain.tasks import Task
from odm_gateway.domain.uploads import Draft, DraftState, Limits, UploadedFile, new_draft
from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.state import AlreadyExistsError, Collection, CollectionSpec, Document, Index

UPLOADS = CollectionSpec("odm_uploads", (Index(("state", "at_us")),))
UPLOAD_FILES = CollectionSpec("odm_uploaded", (Index(("upload", "at_us")), Index(("at_us",))))
WRITTEN_WITHIN_S = 2.0
"""From the count of a file to its document; longer means that whoever counted has died."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """Takes files in any number of requests and makes tasks of them."""

    drafts: Collection[Draft]
    files: Collection[UploadedFile]
    shelf: Shelf
    folders: Folders = field(default_factory=Folders)
    """Which folders of the object store callers may name instead of uploading."""

    @property
    def limits(self) -> Limits:
        """Return how much a task may bring."""
        return self.shelf.limits

    async def begin(self, task: Task, *, is_dated: bool) -> None:
        """Open a draft; one of the same caller that is still open gets this task's fields.

        Raises:
            InvalidInputError: The id belongs to a task, or to another upload.
        """
        await self.check_free(task.id)
        fresh = new_draft(task_key(task.id), task, now_us(), is_dated=is_dated)
        try:
            await self.drafts.insert(fresh.task_key, fresh)
        except AlreadyExistsError:
            await self.drafts.update(fresh.task_key, lambda old: _begun_again(old, fresh))

    async def check_free(self, task_id: str) -> None:
        """Return if no task has this id.

        Raises:
            InvalidInputError: One has.
        """
        if await self.shelf.tasks.get(task_key(task_id)):
            raise taken(task_id)

    async def draft(self, uuid: str, caller: Caller) -> Draft:
        """Return the caller's open draft.

        Raises:
            NotFoundError: There is none, or a task was made of it.
        """
        draft = (await self._owned(uuid, caller)).body
        if not draft.is_open:
            raise _unknown()
        return draft

    async def add(self, draft: Draft, raw_name: str, content: AsyncIterator[bytes]) -> None:
        """Store a file of a draft; one that is there already with this content stays as it is.

        Raises:
            InvalidInputError: Its name cannot be used, or it is too much.
            NotFoundError: The upload was committed meanwhile, perhaps without this file.
        """
        async with self.shelf.stored(draft, raw_name, content, draft.total_bytes) as file:
            if not await self._registered(draft, file):
                await self.shelf.discard(file)
        # From here on a commit may list the file, so that it is not ours to delete any more.
        document = await self.drafts.get(draft.task_key)
        if document is None or document.body.upload != draft.upload or not document.body.is_open:
            raise _unknown()

    async def commit(self, uuid: str, caller: Caller) -> Task:
        """Make the task of a draft.

        Raises:
            NotFoundError: There is no such draft, or it is a task already.
            InvalidInputError: No file was uploaded, or too many.
        """
        document = await self._owned(uuid, caller)
        if not document.body.is_waiting:
            raise _unknown()
        self.limits.check_files(await self.files.count({"upload": document.body.upload}))
        return await self.finish(await self.drafts.update(document.id, _committing))

    async def finish(self, document: Document[Draft]) -> Task:
        """Carry a commit to its end.

        Raises:
            InvalidInputError: Another task has taken the id.
        """
        files = [file async for file in self.files_of(document.body.upload)]
        try:
            task = await self.shelf.make_task(document.body, files)
        except InvalidInputError:
            await self._leave(document, DraftState.DISCARDED)
            raise
        await self._leave(document, DraftState.COMMITTED)
        return task

    async def files_of(self, upload: str) -> AsyncIterator[UploadedFile]:
        """Iterate over what has arrived for an upload."""
        async for document in self.files.each({"upload": upload}):
            yield document.body

    async def _owned(self, uuid: str, caller: Caller) -> Document[Draft]:
        try:
            document = await self.drafts.get(task_key(uuid))
        except InvalidInputError as error:  # no document can have this name
            raise _unknown() from error
        if document is None or not document.body.belongs_to(caller):
            raise _unknown()
        return document

    async def _leave(self, document: Document[Draft], state: DraftState) -> None:
        upload = document.body.upload
        with suppress(NotFoundError):  # another commit of it was faster, and it is tidied up
            await self.drafts.update(
                document.id, lambda old: old.moved(state, now_us()) if old.upload == upload else None
            )

    async def _registered(self, draft: Draft, file: UploadedFile) -> bool:
        """Write that a file is there, under the next free name; return False if it was there already."""
        while True:
            while there := await self.files.get(file.document_id):
                if there.body.is_same(file):
                    return False
                file = file.renamed()
            await self._admit(draft, file)
            try:
                await self.files.insert(file.document_id, file)
            except AlreadyExistsError:  # another request was faster
                await self._take_back(draft, file)
            except BaseException:
                await self._take_back(draft, file)
                raise
            else:
                return True

    async def _admit(self, draft: Draft, file: UploadedFile) -> None:
        """Count a file in.

        Raises:
            InvalidInputError: It is one too many.
            NotFoundError: The upload is not open any more.
        """
        if not self.limits.are_set:
            return
        try:
            await self._count(draft, file, 1)
        except InvalidInputError:
            if not await self._recounted(draft):
                raise
            await self._count(draft, file, 1)

    async def _take_back(self, draft: Draft, file: UploadedFile) -> None:
        if self.limits.are_set:
            with suppress(TransientError, NotFoundError):
                await self._count(draft, file, -1)

    async def _count(self, draft: Draft, file: UploadedFile, sign: int) -> None:
        def change(old: Draft) -> Draft:
            if old.upload != draft.upload or not old.is_open:
                raise _unknown()
            new = old.with_files(sign * counts_as_image(file.name), sign * file.size_bytes)
            if sign > 0:
                self.limits.check(new.image_count if counts_as_image(file.name) else 0, new.total_bytes)
            return new

        await self.drafts.update(draft.task_key, change)

    async def _recounted(self, draft: Draft) -> bool:
        """Correct the count of what has arrived; return False if it was right.

        What died between its count and its document counts for nothing; what is just being written does.
        """
        before = (await self.drafts.load(draft.task_key)).body
        if await self._arrived(draft) == (before.image_count, before.total_bytes):
            return False
        await asyncio.sleep(WRITTEN_WITHIN_S)
        images, size_bytes = await self._arrived(draft)

        def change(old: Draft) -> Draft | None:
            is_still = (old.image_count, old.total_bytes) == (before.image_count, before.total_bytes)
            update = {"image_count": images, "total_bytes": size_bytes}
            return old.model_copy(update=update) if is_still else None

        await self.drafts.update(draft.task_key, change)
        return True

    async def _arrived(self, draft: Draft) -> tuple[int, int]:
        images = size_bytes = 0
        async for file in self.files_of(draft.upload):
            images += counts_as_image(file.name)
            size_bytes += file.size_bytes
        return images, size_bytes


def _begun_again(old: Draft, fresh: Draft) -> Draft:
    if not old.is_waiting:  # what became of it is settled
        return fresh
    if not old.is_open or (old.task.tenant, old.task.parent) != (fresh.task.tenant, fresh.task.parent):
        raise taken(fresh.task.id)
    return old.model_copy(update={"task": fresh.task, "is_dated": fresh.is_dated, "at_us": fresh.at_us})


def _committing(draft: Draft) -> Draft:
    if not draft.is_waiting:
        raise _unknown()
    return draft.moved(DraftState.COMMITTING, now_us())


def _unknown() -> NotFoundError:
    return NotFoundError("Invalid uuid (not found)")
