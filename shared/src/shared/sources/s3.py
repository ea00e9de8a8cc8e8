"""``s3://bucket/prefix``: a folder of an S3-compatible store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import NotFoundError, TransientError
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
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

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
        with _translating(f"s3://{self.bucket}/{key}"):
            reply = await self.client.get_object(Bucket=self.bucket, Key=key, IfMatch=f'"{entry.token}"')
            async with reply["Body"] as body:
                yield _chunks(body, entry)

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


async def _chunks(body: Any, entry: Entry) -> AsyncIterator[bytes]:
    received = 0
    while chunk := await body.read(CHUNK_BYTES):
        received += len(chunk)
        yield chunk
    if received != entry.size_bytes:
        raise SourceChangedError(f"{entry.path}: {received} bytes came, {entry.size_bytes} were listed")


@contextmanager
def _translating(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _translated(error, what) from error
    except (BotoCoreError, TimeoutError, OSError) as error:
        raise TransientError(f"{what} cannot be reached: {type(error).__name__}") from error


def _translated(error: ClientError, what: str) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "PreconditionFailed" or status == 412:  # noqa: PLR2004 - HTTP's number
        return SourceChangedError(f"{what} was replaced since it was listed")
    if code in {"NoSuchBucket", "NoSuchKey", "404"}:
        return NotFoundError(f"there is no {what}")
    if code in {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"}:
        return SourceForbiddenError(f"{what} may not be read with the given keys ({code})")
    return TransientError(f"{what}: the store answered {code or status}")
