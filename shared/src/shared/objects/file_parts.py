"""Objects that arrive in a folder in parts, over as many processes as it takes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from shared.errors import InvalidInputError, NotFoundError
from shared.objects.disk import BLOCK_BYTES, About, Incoming, errors_translated
from shared.objects.part_hashes import PartHashes
from shared.objects.port import ContentError, Part, StoredObject
from shared.threads import finished

_UPLOAD = re.compile(r"parts-[0-9a-f]{32}")

Publish = Callable[[str, Incoming, About], StoredObject]


@dataclass(frozen=True, slots=True)
class FileParts:
    """Each upload is one file among the store's temporary ones, which grows part by part."""

    folder: Path
    publish: Publish
    stat: Callable[[str], Awaitable[StoredObject | None]]

    async def begin(self, key: str) -> str:
        """Begin an object and return the name of its upload."""
        del key
        upload = f"parts-{uuid4().hex}"
        with errors_translated(self.folder):
            await finished(lambda: self._path(upload).touch(exist_ok=False))
        return upload

    async def send(self, key: str, upload: str, number: int, start: int, content: bytes) -> Part:
        """Store a part.

        Raises:
            NotFoundError: There is no such upload any more.
        """
        path = self._path(upload)
        with errors_translated(path):
            try:
                sha256 = await finished(lambda: _write(path, start, content))
            except FileNotFoundError as error:
                raise NotFoundError(f"{key}: the upload {upload} is gone") from error
        return Part(number, len(content), sha256)

    async def finish(
        self,
        key: str,
        upload: str,
        parts: Sequence[Part],
        *,
        sha256: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> StoredObject:
        """Make the object of its parts, all of which are read once more.

        Raises:
            NotFoundError: There is no such upload any more, nor the object.
            ContentError: What is stored is not what was sent.
        """
        path, size_bytes = self._path(upload), sum(part.size_bytes for part in parts)
        with errors_translated(path):
            try:
                stored = await finished(lambda: self._finish(key, path, parts, About(sha256, content_type)))
            except FileNotFoundError as error:
                there = await self.stat(key)
                if there is None or there.size_bytes != size_bytes:
                    raise NotFoundError(f"{key}: the upload {upload} is gone") from error
                return there
        return stored

    async def abort(self, key: str, upload: str) -> None:
        """Forget an upload and its parts; there being none is no error."""
        del key
        with errors_translated(self.folder):
            await finished(lambda: self._path(upload).unlink(missing_ok=True))

    def _finish(self, key: str, path: Path, parts: Sequence[Part], about: About) -> StoredObject:
        with path.open("rb") as file, Incoming(path.parent) as incoming:
            hashes = PartHashes(key, parts)
            while block := file.read(BLOCK_BYTES):
                hashes.update(block)
            incoming.copy(file.fileno())
            incoming.check(None, about.sha256 or hashes.whole())
            if incoming.sha256 != hashes.whole():
                raise ContentError(f"{key} changed while it was put together")
            stored = self.publish(key, incoming, About(incoming.sha256, about.content_type))
        path.unlink(missing_ok=True)
        return stored

    def _path(self, upload: str) -> Path:
        if not _UPLOAD.fullmatch(upload):
            raise InvalidInputError("not the name of an upload to this store", field="upload", value=upload)
        return self.folder / upload


def _write(path: Path, start: int, content: bytes) -> str:
    file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        rest = memoryview(content)
        while rest:
            written = os.pwrite(file, rest, start)
            start, rest = start + written, rest[written:]
        os.fsync(file)
    finally:
        os.close(file)
    return hashlib.sha256(content).hexdigest()
