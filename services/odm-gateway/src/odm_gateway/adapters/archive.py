"""ZIP archives from outside: looked at before they are believed, and unpacked entry by entry."""

from __future__ import annotations

import asyncio
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import IO, BinaryIO

from odm_gateway.domain.archives import Unpacking, unpacking
from shared import archives
from shared.archives import Member
from shared.errors import InvalidInputError, PermanentError

CHUNK_BYTES = 1 << 20
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)
"""What the decompressor raises."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An open archive that was checked."""

    file: zipfile.ZipFile
    infos: tuple[zipfile.ZipInfo, ...]
    plan: Unpacking
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def wanted(self) -> list[tuple[str, zipfile.ZipInfo]]:
        """Return the entries to unpack, and under which names."""
        return [(name, self.infos[position]) for position, name in self.plan.names.items()]

    @property
    def size_bytes(self) -> int:
        """Return how much there will be."""
        return sum(info.file_size for _, info in self.wanted())

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    async def content(self, info: zipfile.ZipInfo) -> AsyncIterator[bytes]:
        """Unpack one entry.

        Raises:
            PermanentError: It is damaged, or not what the directory says.
        """
        left_bytes = info.file_size
        with _faults_of(info.filename):
            async with self._opened(info) as entry:
                while chunk := await asyncio.to_thread(entry.read, CHUNK_BYTES):
                    left_bytes -= len(chunk)
                    if left_bytes < 0:
                        raise PermanentError(f"{info.filename!r} in the archive is larger than it claims.")
                    yield chunk

    @asynccontextmanager
    async def _opened(self, info: zipfile.ZipInfo) -> AsyncIterator[IO[bytes]]:
        """Open an entry; reading several at once is safe, opening and closing them is not."""
        async with self.lock:
            entry = await asyncio.to_thread(self.file.open, info)
        try:
            yield entry
        finally:
            async with self.lock:
                entry.close()


def open_archive(stored: BinaryIO, at_most_bytes: int) -> Archive:
    """Open an archive and check what its directory claims; for a thread, because that reads all of it.

    Raises:
        PermanentError: It is no archive, or not safe to unpack.
    """
    begin = _check_directory(stored)
    try:
        file = zipfile.ZipFile(stored)
    except (*_DAMAGE, NotImplementedError, struct.error) as error:
        raise PermanentError(f"The archive cannot be read: {error}") from error
    try:
        infos = tuple(file.infolist())
        members = [_member(info) for info in infos]
        archives.check(members, at_most_bytes=at_most_bytes, end=begin)
        return Archive(file, infos, unpacking(members))
    except InvalidInputError as error:
        file.close()
        raise PermanentError(f"The archive is not unpacked: {error}.") from error
    except BaseException:
        file.close()
        raise


@contextmanager
def _faults_of(name: str) -> Iterator[None]:
    try:
        yield
    except NotImplementedError as error:
        raise PermanentError(f"{name!r} in the archive cannot be unpacked: {error}") from error
    except _DAMAGE as error:
        raise PermanentError(f"{name!r} in the archive is damaged: {error}") from error


def _check_directory(file: BinaryIO) -> int:
    """Count the entries of an archive, without keeping any in memory, and return where its directory begins.

    It is found as the standard library does, which reads it whole next, and keeps it twice.

    Raises:
        PermanentError: There are too many, or it is no archive.
    """
    end, size_bytes = _directory(file)
    if size_bytes > archives.DIRECTORY_AT_MOST_BYTES or size_bytes > end:
        raise PermanentError("The archive cannot be read: its directory is too large.")
    begin = file.seek(end - size_bytes)
    count = 0
    while size_bytes > 0:
        size_bytes -= _skip_entry(file)
        count += 1
        if count > archives.ENTRIES_AT_MOST:
            raise PermanentError(f"The archive has more than {archives.ENTRIES_AT_MOST} entries.")
    return begin


def _skip_entry(file: BinaryIO) -> int:
    header = file.read(archives.HEADER.size)
    if len(header) < archives.HEADER.size or header[:4] != archives.HEADER_SIGNATURE:
        raise PermanentError("The archive cannot be read: its directory is damaged.")
    variable_bytes: int = sum(archives.HEADER.unpack(header)[10:13])  # name, extra fields, comment
    file.seek(variable_bytes, 1)
    return archives.HEADER.size + variable_bytes


def _directory(file: BinaryIO) -> tuple[int, int]:
    """Return where the directory ends, and its size, from the record at the archive's end."""
    size_bytes = file.seek(0, 2)
    start = max(0, size_bytes - archives.END.size - archives.COMMENT_AT_MOST_BYTES)
    file.seek(start)
    tail = file.read()
    found = tail.rfind(archives.END_SIGNATURE)
    if found < 0 or len(tail) - found < archives.END.size:
        raise PermanentError("The archive cannot be read: it is no ZIP file, or not a whole one.")
    end = start + found
    directory_bytes = archives.END.unpack_from(tail, found)[5]
    return _directory64(file, end) or (end, directory_bytes)


def _directory64(file: BinaryIO, end: int) -> tuple[int, int] | None:
    """Return the same from the records of a large archive, which stand before the usual one."""
    start = end - archives.LOCATOR.size - archives.END64.size
    if start < 0:
        return None
    file.seek(start)
    record, locator = file.read(archives.END64.size), file.read(archives.LOCATOR.size)
    if locator[:4] != archives.LOCATOR_SIGNATURE or record[:4] != archives.END64_SIGNATURE:
        return None
    return start, archives.END64.unpack(record)[8]


def _member(info: zipfile.ZipInfo) -> Member:
    return Member(
        name=info.filename,
        size_bytes=info.file_size,
        packed_bytes=info.compress_size,
        crc32=info.CRC,
        mode=info.external_attr >> 16,
        start=info.header_offset,
        method=info.compress_type,
        is_encrypted=bool(info.flag_bits & archives.ENCRYPTED),
    )
