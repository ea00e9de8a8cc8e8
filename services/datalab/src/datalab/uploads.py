"""Files that users bring: streamed into the object store, within a quota."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from uuid import uuid4

from datalab.clock import now_us
from datalab.domain.uploads import HEAD_BYTES, Upload, base_name, media_type, upload_id
from datalab.numbers import Numbers
from datalab.wire.errors import RefusedError, missing
from shared.errors import TransientError
from shared.objects.port import ObjectStore
from shared.state import AlreadyExistsError, Collection, Order, RevisionError
from shared.turns import Turns

PREFIX = "datalab/uploads"
AT_ONCE = 16
FILES_AT_MOST = 10_000
"""Of one user."""
ORPHANED_AFTER = timedelta(days=1)
"""An upload takes less; a file without a document that is older was left by a process that died."""
TIDY_EVERY_S = 6 * 3600.0
SUFFIX_AT_MOST_CHARACTERS = 12


@dataclass(slots=True)
class Uploads:
    """The files of all users; every question says whose are meant."""

    documents: Collection[Upload]
    objects: ObjectStore
    numbers: Numbers
    quota_bytes: int
    at_most_bytes: int
    """Of one file."""
    _turns: Turns = field(default_factory=lambda: Turns(AT_ONCE, AT_ONCE, "Too many files arrive at once."))

    async def add(self, owner: str, raw_name: str, content: AsyncIterator[bytes]) -> tuple[Upload, bool]:
        """Store a file and return it, and whether it is new; the same file under its name is no other.

        Raises:
            InvalidInputError: Its name cannot be used, or it is neither FITS nor TIFF.
            RefusedError: It is too large, the quota is used up, or the name is taken by another content.
            TransientError: Too many files arrive at once.
        """
        name = base_name(raw_name)
        async with self._turns.turn():
            stored = await self._stored(owner, name, content)
        try:
            return await self._listed(stored)
        except BaseException:
            await self._discard(stored.key)
            raise

    async def of(self, owner: str) -> list[Upload]:
        """Return a user's files, the newest first."""
        order = Order("created_us", descending=True)
        return [document.body async for document in self.documents.each({"owner": owner}, order=order)]

    async def get(self, owner: str, number: int) -> Upload:
        """Return a user's file.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        document = await self.documents.get(upload_id(number))
        if document is None or document.body.owner != owner:
            raise missing("Upload")
        return document.body

    async def remove(self, owner: str, number: int) -> None:
        """Delete a user's file; what was computed from it stays.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        upload = await self.get(owner, number)
        document = await self.documents.load(upload.document_id)
        with suppress(RevisionError):  # another request was faster
            await self.documents.delete(document)
        await self._discard(upload.key)

    async def run(self) -> None:
        """Delete what processes left that died, now and then, for ever."""
        while True:
            with suppress(TransientError):
                await self.tidy(datetime.now(UTC) - ORPHANED_AFTER)
            await asyncio.sleep(TIDY_EVERY_S)

    async def tidy(self, before: datetime) -> None:
        """Delete files without a document that were written before a moment."""
        async for stored in self.objects.list(f"{PREFIX}/"):
            if stored.modified_at < before and not await self.documents.count({"key": stored.key}):
                await self.objects.delete(stored.key)

    async def _stored(self, owner: str, name: str, content: AsyncIterator[bytes]) -> Upload:
        left_bytes = await self._left(owner)
        head, arriving = await _begun(_limited(content, left_bytes, self.at_most_bytes))
        kind = media_type(head, name)
        suffix = "".join(PurePosixPath(name).suffixes[-2:]).lower()[-SUFFIX_AT_MOST_CHARACTERS:]
        key = f"{PREFIX}/{uuid4().hex}{suffix if suffix.replace('.', '').isalnum() else ''}"
        stored = await self.objects.put(key, arriving, content_type=kind)
        assert stored.sha256
        return Upload(
            number=await self.numbers.next("upload"),
            owner=owner,
            basename=name,
            key=key,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            media_type=kind,
            created_us=now_us(),
        )

    async def _listed(self, new: Upload) -> tuple[Upload, bool]:
        try:
            document = await self.documents.insert(new.document_id, new)
        except AlreadyExistsError:
            found = await self.documents.find({"owner": new.owner, "basename": new.basename}, limit=1)
            if not found.items or found.items[0].body.sha256 != new.sha256:
                message = f"You have another file {new.basename}: delete it, or give this one another name."
                raise RefusedError(message, status=409, faults={"file": [message]}) from None
            await self._discard(new.key)
            return found.items[0].body, False
        if await self._left(new.owner) < 0:  # several at once, each within the quota
            await self.documents.delete(document)
            raise _over_quota()
        return new, True

    async def _left(self, owner: str) -> int:
        found = await self.of(owner)
        if len(found) >= FILES_AT_MOST:
            raise RefusedError(f"You have {FILES_AT_MOST} files: delete some first.", status=413)
        return self.quota_bytes - sum(upload.size_bytes for upload in found)

    async def _discard(self, key: str) -> None:
        with suppress(TransientError):  # then it is tidied up later
            await self.objects.delete(key)


async def _limited(
    content: AsyncIterator[bytes], left_bytes: int, at_most_bytes: int
) -> AsyncIterator[bytes]:
    size_bytes = 0
    async for chunk in content:
        size_bytes += len(chunk)
        if size_bytes > at_most_bytes:
            raise RefusedError(f"A file has at most {at_most_bytes} bytes.", status=413)
        if size_bytes > left_bytes:
            raise _over_quota()
        yield chunk


async def _begun(content: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return the first bytes of some content, and all of it."""
    head = bytearray()
    async for chunk in content:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break

    async def whole() -> AsyncIterator[bytes]:
        yield bytes(head)
        async for chunk in content:
            yield chunk

    return bytes(head[:HEAD_BYTES]), whole()


def _over_quota() -> RefusedError:
    return RefusedError("Your uploads would exceed your quota: delete some first.", status=413)
