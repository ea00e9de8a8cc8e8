"""``s3://bucket/prefix``: a folder of an S3-compatible store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

from shared.errors import NotFoundError
from shared.objects.s3_errors import code_of, s3_errors, status_of
from shared.sources.port import Entry, Folder, SourceChangedError, SourceForbiddenError

CHUNK_BYTES = 1 << 20
PAGE = 1000


@dataclass(frozen=True)
class S3Source:
    """A prefix of a bucket; ``client`` is an aiobotocore S3 client."""

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
        prefix = "".join(f"{part}/" for part in (self.prefix, path) if part)
        files: list[Entry] = []
        folders: list[str] = []
        async for page in self._pages(prefix):
            files += [
                Entry(self._relative(item["Key"]), item["Size"], item["ETag"].strip('"'))
                for item in page.get("Contents", [])
                if not item["Key"].endswith("/")
            ]
            folders += [self._relative(item["Prefix"]).rstrip("/") for item in page.get("CommonPrefixes", [])]
        if not files and not folders:
            raise NotFoundError(f"there is nothing below s3://{self.bucket}/{prefix}")
        return Folder(tuple(sorted(files, key=lambda entry: entry.path)), tuple(sorted(folders)))

    @asynccontextmanager
    async def open(self, entry: Entry) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read the object if it still is the one that was listed."""
        key = f"{self.prefix}/{entry.path}".lstrip("/")
        where = f"s3://{self.bucket}/{key}"
        try:
            with _translating(where):
                reply = await self.client.get_object(Bucket=self.bucket, Key=key, IfMatch=f'"{entry.token}"')
        except NotFoundError as error:
            raise SourceChangedError(f"{where} is gone since it was listed") from error
        async with reply["Body"] as body:
            yield _chunks(body, entry, where)

    def local_path(self, entry: Entry) -> Path | None:
        """Return None: objects lie elsewhere."""
        del entry
        return None

    async def _pages(self, prefix: str) -> AsyncIterator[dict[str, Any]]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, Delimiter="/", PaginationConfig={"PageSize": PAGE}
        )
        with _translating(f"s3://{self.bucket}/{prefix}"):
            async for page in pages:
                yield page

    def _relative(self, key: str) -> str:
        return key[len(self.prefix) + 1 :] if self.prefix else key


async def _chunks(body: Any, entry: Entry, where: str) -> AsyncIterator[bytes]:
    received = 0
    with _translating(where):
        while chunk := await body.read(CHUNK_BYTES):
            received += len(chunk)
            yield chunk
    if received != entry.size_bytes:
        raise SourceChangedError(f"{entry.path}: {received} bytes came, {entry.size_bytes} were listed")


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
