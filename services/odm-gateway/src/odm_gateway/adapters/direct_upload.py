"""An upload in one request: its list of files is in memory, and a draft is there for whoever tidies up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from odm_gateway.adapters.upload_shelf import Shelf, now_us
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.manifest import counts_as_image
from odm_gateway.domain.tasks import Task
from odm_gateway.domain.uploads import Draft, DraftState, Gathered, file_name, new_draft
from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.state import Collection, RevisionError


class DirectUpload:
    """The files of one request."""

    def __init__(self, drafts: Collection[Draft], shelf: Shelf, task: Task) -> None:
        self._drafts = drafts
        self._shelf = shelf
        draft = new_draft(task_key(task.id), task, now_us(), is_dated=True)
        self._draft = draft.moved(DraftState.DIRECT, draft.at_us)
        self._id = f"{draft.task_key}.{draft.upload}"
        self._files = Gathered()
        self._total_bytes = 0
        self._image_count = 0
        self._is_noted = False

    @property
    def is_empty(self) -> bool:
        """Return whether no file came."""
        return not self._is_noted and not self._image_count

    async def add(self, raw_name: str, content: AsyncIterator[bytes]) -> None:
        """Store a file; of images beyond the limit it is only counted how many there are.

        Raises:
            InvalidInputError: Its name cannot be used, or it is too much.
        """
        self._image_count += counts_as_image(file_name(raw_name))
        if self._shelf.limits.images is not None and self._image_count > self._shelf.limits.images:
            return
        await self._note()
        async with self._shelf.stored(self._draft, raw_name, content, self._total_bytes) as file:
            if not self._files.add(file):
                self._image_count -= counts_as_image(file.name)
                await self._shelf.discard(file)
                return
            self._total_bytes += file.size_bytes
            self._shelf.limits.check_bytes(self._total_bytes)

    async def commit(self, task: Task) -> Task:
        """Make the task, of this request's fields.

        Raises:
            InvalidInputError: There are too many images, or another task has taken the id.
        """
        self._shelf.limits.check(self._image_count, self._total_bytes)
        document = await self._drafts.update(self._id, lambda old: _with_task(old, task))
        made = await self._shelf.make_task(document.body, self._files.files)
        with suppress(RevisionError, TransientError):  # found when somebody tidies up
            await self._drafts.delete(document)
        return made

    async def abandon(self) -> None:
        """Leave what was stored to whoever tidies up."""
        if self._is_noted:
            with suppress(TransientError, PermanentError):
                await self._drafts.update(self._id, lambda old: old.moved(DraftState.DISCARDED, now_us()))

    async def _note(self) -> None:
        """Write down, before the first byte is stored, that there will be something to tidy up."""
        if not self._is_noted:
            self._is_noted = True
            await self._drafts.insert(self._id, self._draft)


def _with_task(draft: Draft, task: Task) -> Draft:
    if draft.state is not DraftState.DIRECT:
        raise InvalidInputError("The upload took too long.", field="images")
    return draft.model_copy(update={"task": task, "at_us": now_us()})


@asynccontextmanager
async def direct_upload(drafts: Collection[Draft], shelf: Shelf, task: Task) -> AsyncIterator[DirectUpload]:
    """Take the files of a task in one request; unless the task is made, nothing is left of them."""
    upload = DirectUpload(drafts, shelf, task)
    try:
        yield upload
    except BaseException:
        await upload.abandon()
        raise
