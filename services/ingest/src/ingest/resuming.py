"""Large files: copied in parts, each written down when it is stored, so that a copy goes on where it was."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from ingest.domain.transfers import FileRecord, PartialCopy, SentPart
from ingest.journal import Journal
from ingest.reading import blocks
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.objects.port import ContentError, ObjectStore, Part, StoredObject
from shared.streams import Chunk

PART_BYTES = 16 << 20
PARTS_AT_MOST = 1000
"""A longer list would make a heavy line of the journal."""
_MIB = 1 << 20


def part_bytes(size_bytes: int) -> int:
    """Return the size of the parts of a file, in whole MiB."""
    return max(PART_BYTES, -(-size_bytes // (PARTS_AT_MOST * _MIB)) * _MIB)


@dataclass
class PartsCopy:
    """One attempt to copy one file in parts, from the first that is missing."""

    objects: ObjectStore
    journal: Journal
    line: FileRecord
    key: str
    media_type: str

    async def stored(self, chunks: AsyncIterator[Chunk]) -> StoredObject:
        """Store what is missing, which ``chunks`` are, and make the object.

        Raises:
            ContentError: The source gave other bytes than were listed; the copy will begin anew.
            TransientError: Not all was stored; the copy will go on from there, or anew.
        """
        partial = self.line.partial or await self._begun()
        try:
            whole = await self._sent(partial, chunks)
            return await self._finished(whole)
        except NotFoundError as error:
            await self._begin_anew(delete=False)
            raise TransientError(f"{self.line.path}: its upload is gone, it begins anew") from error
        except ContentError:
            await self._begin_anew(delete=True)
            raise

    async def _begun(self) -> PartialCopy:
        upload = await self.objects.parts.begin(self.key)
        partial = PartialCopy(upload=upload, part_bytes=part_bytes(self.line.size_bytes))
        self.line = await self.journal.write(self.line.model_copy(update={"partial": partial}))
        return partial

    async def _sent(self, partial: PartialCopy, chunks: AsyncIterator[Chunk]) -> str | None:
        """Send the parts, one while the next one comes; return the hash of the whole if all passed here."""
        whole = hashlib.sha256() if not partial.parts else None
        number, start = len(partial.parts) + 1, partial.stored_bytes
        sending: asyncio.Task[Part] | None = None
        try:
            async for block in blocks(chunks, partial.part_bytes):
                if whole:
                    await asyncio.to_thread(whole.update, block)
                await self._noted(sending)
                send = self.objects.parts.send(self.key, partial.upload, number, start, block)
                sending = asyncio.create_task(send)
                number, start = number + 1, start + len(block)
            await self._noted(sending)
        finally:
            await _ended(sending)
        return whole.hexdigest() if whole else None

    async def _noted(self, sending: asyncio.Task[Part] | None) -> None:
        """Write a part down once it is stored."""
        if sending is None:
            return
        part, partial = await sending, self.line.partial
        assert partial is not None
        sent = SentPart(number=part.number, size_bytes=part.size_bytes, sha256=part.sha256, etag=part.etag)
        more = partial.model_copy(update={"parts": (*partial.parts, sent)})
        self.line = await self.journal.write(self.line.model_copy(update={"partial": more}))

    async def _finished(self, whole: str | None) -> StoredObject:
        partial = self.line.partial
        assert partial is not None
        if partial.stored_bytes != self.line.size_bytes:
            raise ContentError(f"{partial.stored_bytes} bytes arrived, {self.line.size_bytes} were promised")
        parts = [Part(part.number, part.size_bytes, part.sha256, part.etag) for part in partial.parts]
        return await self.objects.parts.finish(
            self.key, partial.upload, parts, sha256=whole, content_type=self.media_type
        )

    async def _begin_anew(self, *, delete: bool) -> None:
        await forget(self.objects, self.line, self.key)
        if delete:
            await self.objects.delete(self.key)
        self.line = await self.journal.write(self.line.model_copy(update={"partial": None}))


async def forget(objects: ObjectStore, line: FileRecord, key: str) -> None:
    """Give up the parts of a file, if there are any; what the store keeps of them, it sweeps by itself."""
    if line.partial is not None:
        with suppress(TransientError, PermanentError):
            await objects.parts.abort(key, line.partial.upload)


async def _ended(sending: asyncio.Task[Part] | None) -> None:
    if sending is not None and not sending.done():
        sending.cancel()
        await asyncio.wait([sending])
