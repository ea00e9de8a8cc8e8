"""Files in buckets and folders that an operator opened to users."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from datalab.domain.computations import InputFile
from datalab.domain.users import Caller
from datalab.operations.operation import FileRef, OperationError
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.settings import PlatformSettings
from shared.threads import entered

CHUNK_BYTES = 1 << 20


@dataclass(slots=True)
class Buckets:
    """Objects named ``s3://bucket/key``, below the roots that are open."""

    roots: Sequence[str]
    settings: PlatformSettings
    stack: AsyncExitStack
    file_bytes_at_most: int
    _client: Any = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, ref: FileRef, caller: Caller) -> InputFile:  # noqa: ARG002 - open to all users
        """Return an object of a bucket.

        Raises:
            OperationError: There is none, or it is not below an open root.
        """
        bucket, key = self._place(ref.basename)
        head = await self._head(ref.basename, bucket, key)
        if head["ContentLength"] > self.file_bytes_at_most:
            raise OperationError(f"{ref.basename} is larger than {self.file_bytes_at_most} bytes")
        etag, size_bytes = head["ETag"].strip('"'), int(head["ContentLength"])
        return InputFile(
            source="s3",
            basename=ref.basename,
            content=f"s3:{bucket}/{key}:{etag}:{size_bytes}",
            place=etag,
            size_bytes=size_bytes,
        )

    async def fetch(self, file: InputFile, to: Path) -> None:
        """Write an object to a file, if it is still the one that was found.

        Raises:
            OperationError: It is not.
        """
        from shared.objects.s3_errors import s3_errors  # noqa: PLC0415 - as below

        bucket, key = self._place(file.basename)
        changed = OperationError(f"{file.basename} was replaced or removed meanwhile; retry the operation.")
        client, size_bytes = await self._opened(), 0
        try:
            with s3_errors(file.basename):
                answer = await client.get_object(Bucket=bucket, Key=key)
                if answer["ETag"].strip('"') != file.place:
                    raise changed
                async with answer["Body"] as body:
                    with ExitStack() as stack:
                        target = await entered(stack, lambda: to.open("xb"))
                        while chunk := await body.read(CHUNK_BYTES):
                            size_bytes += await asyncio.to_thread(target.write, chunk)
        except NotFoundError:
            raise changed from None
        if size_bytes != file.size_bytes:
            raise TransientError(f"{file.basename} came with {size_bytes} of {file.size_bytes} bytes")

    def local_path(self, file: InputFile) -> Path | None:
        """Return None: buckets are elsewhere."""
        del file
        return None

    def _place(self, uri: str) -> tuple[str, str]:
        """Return bucket and key of a URI below an open root; a root ends where a name does."""
        named = unquote(uri)
        is_open = any(named.startswith(f"{root.rstrip('/')}/") for root in self.roots)
        bucket, _, key = named.removeprefix("s3://").partition("/")
        if not is_open or not named.startswith("s3://") or not (bucket and key) or ".." in key.split("/"):
            raise OperationError(f"{uri} is in none of the buckets that are open here.")
        return bucket, key

    async def _head(self, uri: str, bucket: str, key: str) -> Any:
        from shared.objects.s3_errors import s3_errors  # noqa: PLC0415 - as below

        client = await self._opened()
        try:
            with s3_errors(uri):
                return await client.head_object(Bucket=bucket, Key=key)
        except PermanentError:
            raise OperationError(f"There is no {uri}, or it may not be read.") from None

    async def _opened(self) -> Any:
        from shared.objects.s3_client import Server, s3_client  # noqa: PLC0415 - heavy, and an extra

        async with self._opening:
            if self._client is None:
                on = self.settings
                server = Server(on.s3_endpoint, on.s3_region, on.s3_access_key, on.s3_secret_key)
                self._client = await self.stack.enter_async_context(s3_client(server))
        return self._client


@dataclass(frozen=True, slots=True)
class Folders:
    """Files of this machine, below the folders that are open."""

    roots: Sequence[Path]

    async def find(self, ref: FileRef, caller: Caller) -> InputFile:  # noqa: ARG002 - open to all users
        """Return a file by its absolute path, or its ``file://`` URI.

        Raises:
            OperationError: There is none, or it is not below an open folder.
        """
        return await asyncio.to_thread(self._found, ref.basename)

    async def fetch(self, file: InputFile, to: Path) -> None:
        """Copy nothing: files are read where they are.

        Raises:
            OperationError: Always.
        """
        raise OperationError(f"{file.basename} cannot be written to {to.name}")

    def local_path(self, file: InputFile) -> Path | None:
        """Return the file, if it still is what it was.

        Raises:
            OperationError: It is not.
        """
        if self._found(file.basename).content != file.content:
            raise OperationError(f"{file.basename} was changed meanwhile; retry the operation.")
        return Path(file.place)

    def _found(self, name: str) -> InputFile:
        unknown = OperationError(f"There is no {name} in the folders that are open here.")
        text = unquote(name.removeprefix("file://")) if name.startswith("file://") else name
        if not text.startswith("/") or "\0" in text:
            raise unknown
        try:
            path = Path(text).resolve()
            if not any(path.is_relative_to(root.resolve()) for root in self.roots):
                raise unknown
            known = path.stat()
        except (OSError, RuntimeError):
            raise unknown from None
        if not stat.S_ISREG(known.st_mode):
            raise unknown
        return InputFile(
            source="file",
            basename=name,
            content=f"file:{path}:{known.st_size}:{known.st_mtime_ns}",
            place=str(path),
            size_bytes=known.st_size,
        )


@asynccontextmanager
async def open_buckets(
    roots: Sequence[str], settings: PlatformSettings, file_bytes_at_most: int
) -> AsyncIterator[Buckets]:
    """Open what reads buckets; a client is made for the first that is named."""
    async with AsyncExitStack() as stack:
        yield Buckets(roots, settings, stack, file_bytes_at_most)
