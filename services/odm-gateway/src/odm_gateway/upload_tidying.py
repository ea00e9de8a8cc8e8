"""What becomes of uploads by themselves: commits that died are finished, stale uploads are removed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

import structlog

from odm_gateway.adapters.upload_shelf import now_us
from odm_gateway.adapters.uploads import Uploads
from odm_gateway.domain.manifest import Manifest
from odm_gateway.domain.uploads import Draft, DraftState, UploadedFile
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.state import Between, Document, Order, RevisionError, Where

Step: TypeAlias = Callable[[Document[Draft]], Awaitable[None]]

LOOK_EVERY_S = 60.0
DEAD_AFTER = timedelta(minutes=1)
"""A commit takes seconds."""

log = structlog.get_logger()


@dataclass(slots=True)
class UploadTidying:
    """Brings uploads to their end; any number of processes may do it."""

    uploads: Uploads
    cleanup: timedelta
    """How long an upload waits for more files, or for its commit."""
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Look now."""
        self._due.set()

    async def run(self) -> None:
        """Look once a minute, and when woken, for ever."""
        while True:
            self._due.clear()
            try:
                await self.tidy_all()
            except (TransientError, PermanentError) as error:
                log.warning("uploads.untidy", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._due.wait()

    async def tidy_all(self) -> None:
        """Do what can be done now."""
        now = now_us()
        stale_us = now - _us(self.cleanup)
        await self._each(DraftState.COMMITTING, now - _us(DEAD_AFTER), self._finish)
        await self._each(DraftState.OPEN, stale_us, self._give_up)
        await self._each(DraftState.DIRECT, stale_us, self._give_up)
        await self._each(DraftState.DISCARDED, now_us() + 1, self._remove)
        await self._each(DraftState.COMMITTED, now_us() + 1, self._forget)
        await self._remove_strays(stale_us)

    async def _each(self, state: DraftState, before_us: int, do: Step) -> None:
        async for document in self.uploads.drafts.each({"state": state, "at_us": Between(high=before_us)}):
            with suppress(RevisionError, NotFoundError):  # somebody else is at it
                await do(document)

    async def _finish(self, document: Document[Draft]) -> None:
        """Carry a commit on that its gateway did not survive."""
        with suppress(PermanentError):  # the id is taken: the draft is discarded now
            task = await self.uploads.finish(document)
            log.info("upload.finished", task_id=task.id)

    async def _give_up(self, document: Document[Draft]) -> None:
        """Discard an upload that nobody came back to."""
        draft = document.body
        latest_us = await self._latest_us(draft)
        if latest_us > now_us() - _us(self.cleanup):
            await self._swap(document, draft.model_copy(update={"at_us": latest_us}))
        elif await self._swap(document, draft.moved(DraftState.DISCARDED, now_us())):
            log.info("upload.discarded", task_id=draft.task.id)

    async def _latest_us(self, draft: Draft) -> int:
        found = await self.uploads.files.find(
            {"upload": draft.upload}, order=Order("at_us", descending=True), limit=1
        )
        return found.items[0].body.at_us if found.items else 0

    async def _swap(self, document: Document[Draft], draft: Draft) -> bool:
        """Write ``draft``, unless something has happened to it meanwhile."""

        def change(old: Draft) -> Draft | None:
            return draft if old == document.body else None

        return (await self.uploads.drafts.update(document.id, change)).body == draft

    async def _remove(self, document: Document[Draft]) -> None:
        """Remove an upload with everything that arrived for it, unless there is a task of it after all."""
        draft = document.body
        if await self._has_task(draft):
            await self._forget(document)
            return
        objects = self.uploads.shelf.objects
        for key in [stored.key async for stored in objects.list(f"{draft.prefix}/")]:
            await objects.delete(key)
        await self._delete_files(draft, frozenset())
        await self.uploads.drafts.delete(document)

    async def _forget(self, document: Document[Draft]) -> None:
        """Remove the documents of an upload that is a task; what came too late for that goes altogether."""
        draft = document.body
        await self._delete_files(draft, await self._listed_keys(draft))
        await self.uploads.drafts.delete(document)

    async def _delete_files(self, draft: Draft, kept_keys: frozenset[str]) -> None:
        async for file in self.uploads.files_of(draft.upload):
            await self._delete_file(file, keep=file.key in kept_keys)

    async def _delete_file(self, file: UploadedFile, *, keep: bool) -> None:
        if not keep:
            await self.uploads.shelf.objects.delete(file.key)
        document = await self.uploads.files.get(file.document_id)
        if document is not None:
            with suppress(RevisionError):
                await self.uploads.files.delete(document)

    async def _listed_keys(self, draft: Draft) -> frozenset[str]:
        try:
            manifest = Manifest.model_validate_json(await self.uploads.shelf.objects.read(draft.manifest))
        except NotFoundError:  # the task is removed already, and its files with it
            return frozenset()
        return frozenset(file.key for file in manifest.files)

    async def _has_task(self, draft: Draft) -> bool:
        document = await self.uploads.shelf.tasks.get(draft.task_key)
        return document is not None and document.body.manifest == draft.manifest

    async def _remove_strays(self, before_us: int) -> None:
        """Remove files of which the upload is gone: they arrived at the very moment of its end."""
        old: Where = {"at_us": Between(high=before_us)}
        async for document in self.uploads.files.each(old, order=Order("at_us")):
            owner = await self.uploads.drafts.get(document.body.task_key)
            if owner is None or owner.body.upload != document.body.upload:
                await self._delete_file(document.body, keep=False)


def _us(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
