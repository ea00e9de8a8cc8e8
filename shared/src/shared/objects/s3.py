"""The object store in an S3 bucket.

Every body is signed with its SHA-256, which the server verifies as it arrives, over plain HTTP as well; the
hash is kept in the object's metadata and verified again by ``download``. Give the bucket a lifecycle rule
that ends stale multipart uploads: a process that is killed cannot abort its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.objects.disk import Incoming, errors_translated, file_sha256
from shared.objects.keys import (
    check_key,
    check_metadata,
    check_range,
    check_small,
    is_key,
    key_to_uri,
    uri_to_key,
)
from shared.objects.port import (
    CHUNK_BYTES,
    ContentError,
    ObjectExistsError,
    Parts,
    Shown,
    StoredObject,
)
from shared.objects.receive import receive
from shared.objects.s3_body import HashedBody
from shared.objects.s3_client import Server, s3_sender
from shared.objects.s3_errors import s3_errors, status_of
from shared.objects.s3_headers import described, describing
from shared.objects.s3_parts import S3Parts
from shared.objects.s3_send import Sender
from shared.objects.s3_upload import (
    PART_BYTES,
    Completing,
    Content,
    Measured,
    Upload,
    copy_parts,
    multipart,
    opened_file,
    parts_of,
    send_parts,
)
from shared.streams import Chunk, nothing
from shared.threads import finished

COPY_AT_ONCE_BYTES = 5 << 30
"""More than this, S3 copies in parts only."""
_TAKEN = (409, 412)
_BEHIND_THE_END = 416


@asynccontextmanager
async def open_s3(url: str, server: Server) -> AsyncIterator[S3Objects]:
    """Open the store at ``s3://bucket/prefix``.

    Raises:
        InvalidInputError: The URL names no bucket.
    """
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc:
        raise InvalidInputError(f"{url}: write s3://bucket or s3://bucket/prefix", field="url", value=url)
    async with s3_sender(server) as sender:
        yield S3Objects(sender, parts.netloc, unquote(parts.path).strip("/"))


class S3Objects:
    """The objects below ``prefix`` in ``bucket``."""

    def __init__(self, sender: Sender, bucket: str, prefix: str) -> None:
        self._sender = sender
        self._client = sender.client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._base = key_to_uri(f"s3://{bucket}", prefix) if prefix else f"s3://{bucket}"

    async def put(
        self,
        key: str,
        content: AsyncIterator[Chunk] | bytes | Path,
        *,
        create_only: bool = False,
        size_bytes: int | None = None,
        sha256: str | None = None,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
    ) -> StoredObject:
        """Store ``content``; more than 16 MiB go in parts, at most six of which are in memory.

        Raises:
            ContentError: Size or hash differ from what was promised; nothing was stored.
            ObjectExistsError: ``create_only``, and another content has this name.
        """
        about = StoredObject(
            key, 0, sha256, datetime.now(UTC), content_type, metadata=check_metadata(metadata or {})
        )
        if isinstance(content, Path) and sha256 is None:
            about = replace(about, sha256=await _hash_of(content))  # goes before the content, in metadata
        measured = Measured(size_bytes, about.sha256)
        conditions = {"IfNoneMatch": "*"} if create_only else {}
        with s3_errors(key):
            try:
                return await self._send(content, measured, about, conditions)
            except ClientError as error:
                if not create_only or status_of(error) not in _TAKEN:
                    raise
        return await self._same_or_refused(key, measured.sha256)

    @asynccontextmanager
    async def open(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read the object's bytes ``start <= i < end``, in chunks of at most 1 MiB.

        Raises:
            NotFoundError: There is no such object.
        """
        check_range(start, end)
        if start == end:
            await self._require(key)
            yield nothing()
            return
        with s3_errors(key):
            answer = await self._get(key, start, end)
        if answer is None:
            yield nothing()
            return
        async with answer["Body"] as body:
            yield _chunks(body, key)

    async def read(self, key: str, *, at_most: int = 64 << 20) -> bytes:
        """Return a small object whole.

        Raises:
            NotFoundError: There is no such object.
            InvalidInputError: It is larger than ``at_most`` bytes.
        """
        with s3_errors(key):
            answer = await self._client.get_object(**self._target(key))
            async with answer["Body"] as body:
                check_small(key, answer["ContentLength"], at_most)
                content: bytes = await body.read()
        return content

    async def download(self, key: str, path: Path) -> StoredObject:
        """Write the object to a local file, atomically, and verify its hash where one is kept.

        Raises:
            NotFoundError: There is no such object.
            ContentError: What was read does not have the kept hash.
        """
        with s3_errors(key):
            answer = await self._client.get_object(**self._target(key))
            about = described(key, answer)
            with errors_translated(path), Incoming(path.parent) as incoming:
                async with answer["Body"] as body:
                    await receive(incoming, _chunks(body, key), about.size_bytes)
                incoming.check(about.size_bytes, about.sha256)
                await finished(lambda: incoming.move(path))
        return about

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is known of the object, or None where there is none."""
        try:
            return await self._require(key)
        except NotFoundError:
            return None

    async def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[StoredObject]:
        """Iterate over objects whose key begins with ``prefix``, by key, behind the key ``after``.

        Hash, type and metadata are left to ``stat``.
        """
        behind = {} if after is None else {"StartAfter": self._prefix + after}
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix, **behind
        )
        with s3_errors(f"{self._base}/{prefix}"):
            async for page in pages:
                for item in page.get("Contents", ()):
                    key = item["Key"][len(self._prefix) :]
                    if is_key(key):  # others make empty objects that stand for folders
                        yield StoredObject(
                            key, item["Size"], None, item["LastModified"], etag=item["ETag"].strip('"')
                        )

    async def copy(self, source: str, target: str, *, sha256: str | None = None) -> StoredObject:
        """Copy within the store, on the server, metadata included; a hash that nobody kept is believed.

        Raises:
            NotFoundError: There is no ``source``.
            ContentError: Another hash is kept with ``source``; nothing was stored.
        """
        known = await self._require(source)
        kept = known.sha256 or (sha256.lower() if sha256 else None)
        if sha256 is not None and kept != sha256.lower():
            raise ContentError(f"the SHA-256 of {source} is {kept}, not {sha256} as promised")
        about = replace(known, key=target, sha256=kept)
        with s3_errors(source):
            await self._copy(self._target(source), about, CopySourceIfMatch=f'"{known.etag}"')
        return await self._require(target)

    async def delete(self, key: str) -> None:
        """Delete the object; there being none is no error."""
        with s3_errors(key), suppress(NotFoundError):
            await self._client.delete_object(**self._target(key))

    async def presign(self, key: str, *, expires: timedelta, shown: Shown | None = None) -> str:
        """Return a URL that lets anybody read the object until it expires."""
        with s3_errors(key):
            return await self._sender.url(self._target(key), int(expires.total_seconds()), shown or Shown())

    @property
    def parts(self) -> Parts:
        """Return the way in for objects that arrive in parts."""
        return S3Parts(self._sender, self._target, self._require, self.open, self._copy)

    def uri(self, key: str) -> str:
        """Return the object's URI, which events carry."""
        return key_to_uri(self._base, key)

    def key(self, uri: str) -> str:
        """Return the key of a URI of this store.

        Raises:
            InvalidInputError: The URI lies outside this store.
        """
        return uri_to_key(self._base, uri)

    async def ping(self) -> None:
        """Return if the bucket answers and can be written to: an upload is begun, and given up."""
        probe = self._target("ping")
        with s3_errors(self._base):
            begun = await self._client.create_multipart_upload(**probe)
            await self._client.abort_multipart_upload(**probe, UploadId=begun["UploadId"])

    def _target(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + check_key(key)}

    async def _require(self, key: str) -> StoredObject:
        with s3_errors(key):
            return described(key, await self._client.head_object(**self._target(key)))

    async def _get(self, key: str, start: int, end: int | None) -> Any:
        """Begin to read; None: the object ends before ``start``."""
        last = "" if end is None else end - 1
        span = {"Range": f"bytes={start}-{last}"} if start or end is not None else {}
        try:
            return await self._client.get_object(**self._target(key), **span)
        except ClientError as error:
            if status_of(error) != _BEHIND_THE_END:
                raise
            return None

    async def _send(
        self, content: Content, measured: Measured, about: StoredObject, conditions: dict[str, str]
    ) -> StoredObject:
        async with aclosing(measured.passing(parts_of(content, PART_BYTES))) as parts:
            first = await anext(parts)
            second = await anext(parts, None)
            if second is None:
                measured.check()
                return await self._send_whole(first, replace(about, sha256=measured.sha256), conditions)
            await self._send_parts(_chained(first, second, parts), measured, about, conditions)
        stored = await self._require(about.key)
        if stored.size_bytes != measured.size_bytes:
            raise TransientError(f"{about.key}: the S3 server kept {stored.size_bytes} bytes of the content")
        return stored

    async def _send_whole(
        self, content: HashedBody, about: StoredObject, conditions: dict[str, str]
    ) -> StoredObject:
        answered = await self._sender.whole(self._target(about.key), content, about, conditions)
        moment = answered.get("date")
        return replace(
            about,
            size_bytes=len(content),
            modified_at=parsedate_to_datetime(moment) if moment else about.modified_at,
            etag=answered["etag"].strip('"'),
        )

    async def _send_parts(
        self,
        parts: AsyncIterator[HashedBody],
        measured: Measured,
        about: StoredObject,
        conditions: dict[str, str],
    ) -> None:
        upload = Upload(self._client, self._target(about.key))

        async def send(upload_id: str) -> Completing:
            completing = await send_parts(self._sender, upload.target, upload_id, parts)
            measured.check()
            return completing

        done = await multipart(upload, describing(about), send, **conditions)
        if about.sha256 is None:  # it was not known when the upload began
            known = replace(about, sha256=measured.sha256, size_bytes=measured.size_bytes)
            await self._copy(upload.target, known, CopySourceIfMatch=done["ETag"])

    async def _copy(self, source: dict[str, str], about: StoredObject, **conditions: str) -> None:
        """Copy ``source`` to ``about``'s key, described as ``about``."""
        upload = Upload(self._client, self._target(about.key))
        if about.size_bytes <= COPY_AT_ONCE_BYTES:
            await self._client.copy_object(
                **upload.target,
                CopySource=source,
                MetadataDirective="REPLACE",
                **describing(about),
                **conditions,
            )
        else:
            await multipart(
                upload,
                describing(about),
                lambda upload_id: copy_parts(upload, upload_id, source, about.size_bytes, conditions),
            )

    async def _same_or_refused(self, key: str, sha256: str) -> StoredObject:
        there = await self.stat(key)
        if there is None:
            raise TransientError(f"{key} is being written or deleted by somebody else")
        kept = there.sha256 or await self._hash(key)
        if kept != sha256:
            raise ObjectExistsError(f"{key} exists with another content")
        return replace(there, sha256=kept)

    async def _hash(self, key: str) -> str:
        digest = hashlib.sha256()
        async with self.open(key) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
        return digest.hexdigest()


async def _hash_of(path: Path) -> str | None:
    """Return the hash of a file that will go in parts; a smaller one is hashed as it is read."""

    def hashed() -> str | None:
        with opened_file(path) as file:
            small = os.fstat(file.fileno()).st_size <= PART_BYTES
            return None if small else file_sha256(file.fileno())

    with errors_translated(path):
        return await finished(hashed)


async def _chained(
    first: HashedBody, second: HashedBody, rest: AsyncIterator[HashedBody]
) -> AsyncIterator[HashedBody]:
    yield first
    yield second
    async for part in rest:
        yield part


async def _chunks(body: Any, key: str) -> AsyncIterator[bytes]:
    with s3_errors(key):
        while chunk := await body.read(CHUNK_BYTES):
            yield chunk
