"""Uploads to S3: content cut into parts, a few of which are in memory and on their way at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from shared.errors import NotFoundError, PermanentError, TransientError
from shared.objects.disk import errors_translated
from shared.objects.port import ContentError
from shared.objects.s3_body import HashedBody
from shared.objects.s3_errors import s3_errors
from shared.objects.s3_send import Sender
from shared.streams import Chunk

PART_BYTES = 16 << 20
PIECE_BYTES = 16 << 10
"""Smaller pieces of a stream are joined; larger ones are sent as they came, for a copy costs fresh memory."""
PARTS_AT_ONCE = 4
HASHED_AT_ONCE_BYTES = 128 << 10
"""Less takes less time to hash than to hand to a thread."""
PARTS_AT_MOST = 10_000
ABORT_WITHIN_S = 15

Content = AsyncIterator[Chunk] | bytes | Path
Pieces = list[memoryview]
"""Content as it came, which nobody put together."""
Completing = list[dict[str, Any]]
"""Numbers and ETags of the parts, which complete an upload."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Where an upload goes."""

    client: Any
    target: dict[str, str]
    """Bucket and key, as S3 calls take them."""


class Measured:
    """Counts and hashes the parts that pass, and checks them against what was promised."""

    def __init__(self, size_bytes: int | None, sha256: str | None) -> None:
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._promised_bytes = size_bytes
        self._promised_sha256 = sha256.lower() if sha256 else None

    @property
    def sha256(self) -> str:
        """Return the hex digest of what has passed."""
        return self._hash.hexdigest()

    async def passing(self, parts: AsyncIterator[Pieces]) -> AsyncGenerator[HashedBody, None]:
        """Yield ``parts``, each once it is measured.

        Raises:
            ContentError: More came than was promised.
        """
        async for part in parts:
            size_bytes = sum(map(len, part))
            if size_bytes > HASHED_AT_ONCE_BYTES:
                sha256 = await asyncio.to_thread(self._hashed, part)
            else:
                sha256 = self._hashed(part)
            self.size_bytes += size_bytes
            if self._promised_bytes is not None and self.size_bytes > self._promised_bytes:
                raise ContentError(f"more than the promised {self._promised_bytes} bytes arrived")
            yield HashedBody(part, sha256)

    def _hashed(self, part: Pieces) -> str:
        """Hash ``part`` along with what passed before, and return its own hash."""
        is_first = not self.size_bytes
        own = self._hash if is_first else hashlib.sha256()
        for piece in part:
            own.update(piece)
            if not is_first:
                self._hash.update(piece)
        return own.hexdigest()

    def check(self) -> None:
        """Raise ``ContentError`` unless all that passed is what was promised."""
        if self._promised_bytes not in (None, self.size_bytes):
            raise ContentError(f"{self.size_bytes} bytes arrived, {self._promised_bytes} were promised")
        if self._promised_sha256 not in (None, self.sha256):
            raise ContentError(f"the SHA-256 is {self.sha256}, not {self._promised_sha256} as promised")


async def parts_of(content: Content, part_bytes: int) -> AsyncIterator[Pieces]:
    """Yield ``content`` in parts of ``part_bytes``, the last one smaller; one empty part if it is empty."""
    if isinstance(content, bytes):
        view = memoryview(content)
        for start in range(0, max(1, len(view)), part_bytes):
            yield [view[start : start + part_bytes]]
    elif isinstance(content, Path):
        async for part in _file_parts(content, part_bytes):
            yield [memoryview(part)]
    else:
        async for pieces in _stream_parts(content, part_bytes):
            yield pieces


async def _file_parts(path: Path, part_bytes: int) -> AsyncIterator[bytes]:
    with opened_file(path) as file:
        part = await asyncio.to_thread(file.read, part_bytes)
        yield part
        while len(part) == part_bytes and (part := await asyncio.to_thread(file.read, part_bytes)):
            yield part


async def _stream_parts(content: AsyncIterator[Chunk], part_bytes: int) -> AsyncIterator[Pieces]:
    part = _Filling(part_bytes)
    async for chunk in content:
        rest = memoryview(chunk)
        while rest:
            if not part.room_bytes:
                yield part.pieces()
                part = _Filling(part_bytes)
            rest = part.take(rest)
    yield part.pieces()


class _Filling:
    """A part that fills up."""

    def __init__(self, part_bytes: int) -> None:
        self.room_bytes = part_bytes
        self._pieces: Pieces = []
        self._small = bytearray()

    def take(self, chunk: memoryview) -> memoryview:
        """Take what there is room for, and return the rest."""
        taken, rest = chunk[: self.room_bytes], chunk[self.room_bytes :]
        self.room_bytes -= len(taken)
        if len(taken) >= PIECE_BYTES:
            self._keep_small()
            self._pieces.append(taken)
            return rest
        self._small += taken
        if len(self._small) >= PIECE_BYTES:
            self._keep_small()
        return rest

    def pieces(self) -> Pieces:
        """Return what was taken; one piece at least, if it is an empty one."""
        self._keep_small()
        return self._pieces or [memoryview(b"")]

    def _keep_small(self) -> None:
        if self._small:
            self._pieces.append(memoryview(self._small))
            self._small = bytearray()


@contextmanager
def opened_file(path: Path) -> Iterator[BinaryIO]:
    """Open a local file.

    Raises:
        NotFoundError: There is none.
    """
    with errors_translated(path):
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no file {path} to store") from error
    with file:
        yield file


async def send_parts(
    sender: Sender, target: dict[str, str], upload_id: str, parts: AsyncIterator[HashedBody]
) -> Completing:
    """Send ``parts`` as they come, a few at a time, and return what completes the upload."""
    sending: list[asyncio.Task[str]] = []
    slots = asyncio.Semaphore(PARTS_AT_ONCE)
    with _first_error():
        async with asyncio.TaskGroup() as group:
            async for part in parts:
                await slots.acquire()
                if len(sending) == PARTS_AT_MOST:
                    raise PermanentError(
                        f"{target['Key']} is too large for S3: more than {PARTS_AT_MOST} parts"
                    )
                task = group.create_task(sender.part(target, upload_id, len(sending) + 1, part))
                task.add_done_callback(lambda _: slots.release())
                sending.append(task)
    return _completing([task.result() for task in sending])


async def copy_parts(
    upload: Upload,
    upload_id: str,
    source: dict[str, str],
    size_bytes: int,
    conditions: Mapping[str, str],
    part_bytes: int = 512 << 20,
) -> Completing:
    """Let the server copy ``source`` in parts, a few at a time, and return what completes the upload."""
    step = max(part_bytes, -(-size_bytes // PARTS_AT_MOST))
    slots = asyncio.Semaphore(PARTS_AT_ONCE)

    async def copy(start: int) -> str:
        async with slots:
            answer = await upload.client.upload_part_copy(
                **upload.target,
                UploadId=upload_id,
                PartNumber=start // step + 1,
                CopySource=source,
                CopySourceRange=f"bytes={start}-{min(start + step, size_bytes) - 1}",
                **conditions,
            )
        return str(answer["CopyPartResult"]["ETag"])

    with _first_error():
        async with asyncio.TaskGroup() as group:
            copying = [group.create_task(copy(start)) for start in range(0, size_bytes, step)]
    return _completing([task.result() for task in copying])


async def multipart(
    upload: Upload,
    described: dict[str, Any],
    send: Callable[[str], Awaitable[Completing]],
    **conditions: str,
) -> dict[str, Any]:
    """Make an object of parts; whatever goes wrong, cancellation too, none of them is left behind."""
    begun = await upload.client.create_multipart_upload(**upload.target, **described)
    upload_id = begun["UploadId"]
    try:
        parts = await send(upload_id)
        answer: dict[str, Any] = await upload.client.complete_multipart_upload(
            **upload.target, UploadId=upload_id, MultipartUpload={"Parts": parts}, **conditions
        )
    except BaseException:
        await _abort(upload, upload_id)
        raise
    return answer


async def _abort(upload: Upload, upload_id: str) -> None:
    with suppress(TransientError, PermanentError, TimeoutError), s3_errors(upload.target["Key"]):
        async with asyncio.timeout(ABORT_WITHIN_S):
            await upload.client.abort_multipart_upload(**upload.target, UploadId=upload_id)


def _completing(etags: list[str]) -> Completing:
    return [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]


@contextmanager
def _first_error() -> Iterator[None]:
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group
