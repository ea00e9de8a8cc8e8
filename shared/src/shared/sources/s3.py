"""``s3://bucket/prefix``: a folder of an S3-compatible store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError
from typing_extensions import override

from shared.errors import NotFoundError, TransientError
from shared.objects.port import ObjectStore, StoredObject
from shared.objects.s3 import COPY_AT_ONCE_BYTES
from shared.objects.s3_errors import code_of, s3_errors, status_of
from shared.sources.names import media_type
from shared.sources.port import (
    Capabilities,
    Elsewhere,
    Entry,
    Folder,
    SourceChangedError,
    SourceForbiddenError,
    changed_if_gone,
    check_offset,
    whole,
)
from shared.streams import nothing

CHUNK_BYTES = 1 << 20
PAGE = 1000


@dataclass(frozen=True)
class S3Source(Elsewhere):
    """A prefix of a bucket; ``client`` is an aiobotocore S3 client."""

    capabilities: ClassVar[Capabilities] = Capabilities(ranges=True, parallel_at_most=16)
    client: Any
    bucket: str
    prefix: str
    """Without leading or trailing slash; empty for the whole bucket."""

    @property
    def uri(self) -> str:
        """Return the prefix as an ``s3://`` URI."""
        return f"s3://{self.bucket}/{quote(self.prefix)}".rstrip("/")

    @property
    def system_id(self) -> str:
        """Return the bucket."""
        return self.bucket

    @property
    def path(self) -> str:
        """Return the prefix."""
        return self.prefix

    async def folder(self, path: str = "") -> Folder:
        """List one folder, over as many pages as it takes."""
        files: list[Entry] = []
        folders: list[str] = []
        async for page in self.pages(path):
            files += page.files
            folders += page.folders
        return Folder(tuple(sorted(files, key=lambda entry: entry.path)), tuple(sorted(folders)))

    async def pages(self, path: str = "") -> AsyncIterator[Folder]:
        """List one folder page by page, each forgotten before the next is asked for.

        Raises:
            NotFoundError: There is nothing.
        """
        prefix = "".join(f"{part}/" for part in (self.prefix, path) if part)
        found = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, Delimiter="/", PaginationConfig={"PageSize": PAGE}
        )
        is_empty = True
        with _translating(f"s3://{self.bucket}/{prefix}"):
            async for page in found:
                folder = self._folder(page)
                is_empty = is_empty and not (folder.files or folder.folders)
                yield folder
        if is_empty:
            raise NotFoundError(f"there is nothing below s3://{self.bucket}/{prefix}")

    @asynccontextmanager
    async def open(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read the object if it still is the one that was listed."""
        check_offset(self, entry, offset_bytes)
        key = self._key(entry)
        where = f"s3://{self.bucket}/{key}"
        span = {"Range": f"bytes={offset_bytes}-"} if 0 < offset_bytes < entry.size_bytes else {}
        with changed_if_gone(where), _translating(where):
            reply = await self.client.get_object(
                Bucket=self.bucket, Key=key, IfMatch=f'"{entry.token}"', **span
            )
        async with reply["Body"] as body:
            if offset_bytes and not span:
                yield whole(nothing(), entry, offset_bytes)
            else:
                yield whole(_chunks(body, where), entry, offset_bytes)

    @override
    async def server_copy(self, entry: Entry, objects: ObjectStore, key: str) -> StoredObject | None:
        """Let S3 copy the object, where the store is on the same server.

        Its hash stays unknown: what others wrote beside an object says nothing about it.
        """
        target = urlsplit(objects.uri(key))
        if target.scheme != "s3" or entry.size_bytes > COPY_AT_ONCE_BYTES:
            return None
        source = {"Bucket": self.bucket, "Key": self._key(entry)}
        where = f"s3://{self.bucket}/{source['Key']}"
        try:
            with changed_if_gone(where), _translating(where):
                await self.client.copy_object(
                    Bucket=target.netloc,
                    Key=unquote(target.path).lstrip("/"),
                    CopySource=source,
                    CopySourceIfMatch=f'"{entry.token}"',
                    ContentType=media_type(entry.path),
                    MetadataDirective="REPLACE",
                )
        except SourceForbiddenError:  # a key that may read and not write there, or the other way round
            return None
        return await self._copied(entry, objects, key)

    async def _copied(self, entry: Entry, objects: ObjectStore, key: str) -> StoredObject:
        """Look whether the listed object was copied: not every server heeds conditions on a copy."""
        where = f"s3://{self.bucket}/{self._key(entry)}"
        with changed_if_gone(where), _translating(where):
            now = await self.client.head_object(Bucket=self.bucket, Key=self._key(entry))
        if now["ETag"].strip('"') != entry.token:
            await objects.delete(key)
            raise SourceChangedError(f"{where} was replaced since it was listed")
        stored = await objects.stat(key)
        if stored is None or stored.size_bytes != entry.size_bytes:
            raise TransientError(f"{entry.path}: the S3 server copied something else")
        return stored

    def _folder(self, page: dict[str, Any]) -> Folder:
        return Folder(
            files=tuple(
                Entry(self._relative(item["Key"]), item["Size"], item["ETag"].strip('"'))
                for item in page.get("Contents", [])
                if not item["Key"].endswith("/")
            ),
            folders=tuple(
                self._relative(item["Prefix"]).rstrip("/") for item in page.get("CommonPrefixes", [])
            ),
        )

    def _key(self, entry: Entry) -> str:
        return f"{self.prefix}/{entry.path}" if self.prefix else entry.path

    def _relative(self, key: str) -> str:
        return key[len(self.prefix) + 1 :] if self.prefix else key


async def _chunks(body: Any, where: str) -> AsyncIterator[bytes]:
    with _translating(where):
        while chunk := await body.read(CHUNK_BYTES):
            yield chunk


@contextmanager
def _translating(what: str) -> Iterator[None]:
    with s3_errors(what):
        try:
            yield
        except ClientError as error:
            if meaning := _meaning(error, what):
                raise meaning from error
            raise
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise SourceForbiddenError(f"{what} may not be read without keys: {error}") from error


def _meaning(error: ClientError, what: str) -> Exception | None:
    """Return what an answer means for a source; None: the same as for the object store."""
    match status_of(error):
        case 412:
            return SourceChangedError(f"{what} was replaced since it was listed")
        case 404:
            return NotFoundError(f"there is no {what} ({code_of(error)})")
        case 401 | 403:
            return SourceForbiddenError(f"{what} may not be read with the given keys ({code_of(error)})")
        case _:
            return None
