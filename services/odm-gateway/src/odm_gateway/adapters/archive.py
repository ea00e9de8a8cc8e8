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

from odm_gateway.domain import archives
from odm_gateway.domain.archives import ENTRIES_AT_MOST, Entry, Unpacking
from shared.errors import PermanentError

CHUNK_BYTES = 1 << 20
DIRECTORY_AT_MOST_BYTES = 32 << 20
"""The standard library reads the directory whole, and keeps it twice."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)
"""What the decompressor raises."""
_ENCRYPTED = 0x1
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_COMMENT_AT_MOST_BYTES = 0xFFFF
_HEADER = struct.Struct("<4s6H3L5H2L")
_HEADER_SIGNATURE = b"PK\x01\x02"


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
    _check_directory(stored)
    try:
        file = zipfile.ZipFile(stored)
    except (*_DAMAGE, NotImplementedError, struct.error) as error:
        raise PermanentError(f"The archive cannot be read: {error}") from error
    try:
        infos = tuple(file.infolist())
        entries = [_entry(info) for info in infos]
        archives.check(entries, at_most_bytes)
        return Archive(file, infos, archives.unpacking(entries))
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


def _check_directory(file: BinaryIO) -> None:
    """Count the entries of an archive, without keeping any in memory.

    Raises:
        PermanentError: There are too many, or it is no archive.
    """
    end, size_bytes = _directory(file)
    if size_bytes > DIRECTORY_AT_MOST_BYTES or size_bytes > end:
        raise PermanentError("The archive cannot be read: its directory is too large.")
    file.seek(end - size_bytes)
    count = 0
    while size_bytes > 0:
        size_bytes -= _skip_entry(file)
        count += 1
        if count > ENTRIES_AT_MOST:
            raise PermanentError(f"The archive has more than {ENTRIES_AT_MOST} entries.")


def _skip_entry(file: BinaryIO) -> int:
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or header[:4] != _HEADER_SIGNATURE:
        raise PermanentError("The archive cannot be read: its directory is damaged.")
    variable_bytes: int = sum(_HEADER.unpack(header)[10:13])  # name, extra fields, comment
    file.seek(variable_bytes, 1)
    return _HEADER.size + variable_bytes


def _directory(file: BinaryIO) -> tuple[int, int]:
    """Return where the directory ends, and its size, from the record at the archive's end."""
    size_bytes = file.seek(0, 2)
    start = max(0, size_bytes - _END.size - _COMMENT_AT_MOST_BYTES)
    file.seek(start)
    tail = file.read()
    found = tail.rfind(_END_SIGNATURE)
    if found < 0 or len(tail) - found < _END.size:
        raise PermanentError("The archive cannot be read: it is no ZIP file, or not a whole one.")
    end = start + found
    directory_bytes = _END.unpack_from(tail, found)[5]
    return _directory64(file, end) or (end, directory_bytes)


def _directory64(file: BinaryIO, end: int) -> tuple[int, int] | None:
    """Return the same from the records of a large archive, which stand before the usual one."""
    start = end - _LOCATOR.size - _END64.size
    if start < 0:
        return None
    file.seek(start)
    record, locator = file.read(_END64.size), file.read(_LOCATOR.size)
    if locator[:4] != _LOCATOR_SIGNATURE or record[:4] != _END64_SIGNATURE:
        return None
    return start, _END64.unpack(record)[8]


def _entry(info: zipfile.ZipInfo) -> Entry:
    return Entry(
        name=info.filename,
        size_bytes=info.file_size,
        packed_bytes=info.compress_size,
        crc32=info.CRC,
        mode=info.external_attr >> 16,
        start=info.header_offset,
        method=info.compress_type,
        is_encrypted=bool(info.flag_bits & _ENCRYPTED),
    )
