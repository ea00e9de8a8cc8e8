"""Objects that arrive in S3 in parts, over as many processes as it takes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace

from botocore.exceptions import ClientError

from shared.errors import NotFoundError
from shared.objects.part_hashes import PartHashes
from shared.objects.port import ContentError, Part, StoredObject
from shared.objects.s3_body import HashedBody
from shared.objects.s3_errors import s3_errors, status_of
from shared.objects.s3_send import Sender

Opening = Callable[[str], AbstractAsyncContextManager[AsyncIterator[bytes]]]


@dataclass(frozen=True, slots=True)
class S3Parts:
    """The multipart uploads of one store, whose own methods it is made of."""

    sender: Sender
    target: Callable[[str], dict[str, str]]
    require: Callable[[str], Awaitable[StoredObject]]
    opening: Opening
    copy: Callable[..., Awaitable[None]]

    async def begin(self, key: str) -> str:
        """Begin an object and return the name of its upload."""
        with s3_errors(key):
            begun = await self.sender.client.create_multipart_upload(**self.target(key))
        return str(begun["UploadId"])

    async def send(self, key: str, upload: str, number: int, start: int, content: bytes) -> Part:
        """Store a part; the server verifies its hash as it arrives.

        Raises:
            NotFoundError: There is no such upload any more.
        """
        del start  # parts are put together by number
        sha256 = (await asyncio.to_thread(hashlib.sha256, content)).hexdigest()
        with s3_errors(key):
            body = HashedBody([memoryview(content)], sha256)
            etag = await self.sender.part(self.target(key), upload, number, body)
        return Part(number, len(content), sha256, etag)

    async def finish(
        self,
        key: str,
        upload: str,
        parts: Sequence[Part],
        *,
        sha256: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> StoredObject:
        """Make the object of its parts, and keep its hash with it.

        Raises:
            NotFoundError: There is no such upload any more, nor the object.
            ContentError: What is stored is not what was sent.
        """
        is_new = await self._complete(key, upload, parts)
        stored = await self.require(key)
        if stored.size_bytes != sum(part.size_bytes for part in parts):
            raise ContentError(f"{key} has {stored.size_bytes} bytes, other than its parts")
        whole = sha256 if sha256 and is_new else await self._verified(key, parts)
        described = replace(stored, sha256=whole, content_type=content_type)
        if (stored.sha256, stored.content_type) != (whole, content_type):
            with s3_errors(key):
                await self.copy(self.target(key), described, CopySourceIfMatch=f'"{stored.etag}"')
        return described

    async def abort(self, key: str, upload: str) -> None:
        """Forget an upload and its parts; there being none is no error."""
        with suppress(NotFoundError), s3_errors(key):
            await self.sender.client.abort_multipart_upload(**self.target(key), UploadId=upload)

    async def _complete(self, key: str, upload: str, parts: Sequence[Part]) -> bool:
        """Return whether the upload ended now; else it did before, unless the object is missing."""
        named = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        with s3_errors(key):
            try:
                await self.sender.client.complete_multipart_upload(
                    **self.target(key), UploadId=upload, MultipartUpload={"Parts": named}
                )
            except ClientError as error:
                if status_of(error) != 404:  # noqa: PLR2004 - HTTP
                    raise
                return False
        return True

    async def _verified(self, key: str, parts: Sequence[Part]) -> str:
        """Read the object and return its hash, if each part still has its own."""
        hashes = PartHashes(key, parts)
        async with self.opening(key) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(hashes.update, chunk)
        return hashes.whole()
