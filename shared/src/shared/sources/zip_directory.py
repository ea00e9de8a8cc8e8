"""The directory of a ZIP archive, read from its end, and whether the archive is safe to unpack."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import InvalidInputError

ENTRIES_AT_MOST = 100_000
DIRECTORY_AT_MOST_BYTES = 32 << 20
UNPACKED_AT_MOST_BYTES = 100 << 30
BEST_RATIO = 1100
"""Deflate reaches 1032 : 1; whatever claims more was made to do harm."""
SMALL_BYTES = 1 << 20
BEST_RATIO_OF_ALL = 100
SMALL_IN_ALL_BYTES = 1 << 30
STORED, DEFLATED = 0, 8
LOCAL = struct.Struct("<4s5H3L2H")
LOCAL_SIGNATURE = b"PK\x03\x04"

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
_HEADER = struct.Struct("<4s6H3L5H2L")
_HEADER_SIGNATURE = b"PK\x01\x02"
_COMMENT_AT_MOST_BYTES = 0xFFFF
TAIL_BYTES = _END.size + _COMMENT_AT_MOST_BYTES + _LOCATOR.size + _END64.size
"""So much of the end tells where the directory is."""
_ZIP64_FIELD = 1
_UTF8, _ENCRYPTED = 0x800, 0x1
_FULL32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """One entry."""

    name: str
    size_bytes: int
    packed_bytes: int
    crc32: int
    start: int
    """Where its own header begins in the archive."""
    method: int
    mode: int = 0
    is_encrypted: bool = False

    @property
    def is_file(self) -> bool:
        """Return whether it is neither a folder nor a link nor what a Mac adds."""
        kind = stat.S_IFMT(self.mode)
        parts = self.name.split("/")
        return bool(parts[-1]) and kind in (0, stat.S_IFREG) and "__MACOSX" not in parts


def directory_span(tail: bytes, archive_bytes: int) -> tuple[int, int]:
    """Return where the directory begins and ends.

    Args:
        tail: The archive's last ``TAIL_BYTES``, or all of it.
        archive_bytes: Its size.

    Raises:
        InvalidInputError: It is no archive, or its directory is too large.
    """
    found = _end_record(tail)
    base = archive_bytes - len(tail)
    size_bytes = _END.unpack_from(tail, found)[5]
    end = base + found
    record = found - _LOCATOR.size - _END64.size
    if record >= 0 and _is_zip64(tail, record):
        size_bytes, end = _END64.unpack_from(tail, record)[8], base + record
    if size_bytes > DIRECTORY_AT_MOST_BYTES or size_bytes > end:
        raise InvalidInputError("the directory of the archive is too large", field="source")
    return end - size_bytes, end


def members(directory: bytes, directory_start: int) -> list[Member]:
    """Return the entries of a directory that are safe to unpack.

    Raises:
        InvalidInputError: It is damaged, or the archive encrypted, too large, or made to do harm.
    """
    found = list(_members(directory))
    _check(found, directory_start)
    return found


def _end_record(tail: bytes) -> int:
    """Return where the last record begins: the one whose comment reaches to the end."""
    found = len(tail)
    while (found := tail.rfind(_END_SIGNATURE, 0, found)) >= 0:
        rest = len(tail) - found - _END.size
        if rest >= 0 and _END.unpack_from(tail, found)[7] == rest:
            return found
    raise InvalidInputError("it is no ZIP archive, or not a whole one", field="source")


def _is_zip64(tail: bytes, record: int) -> bool:
    locator = record + _END64.size
    return tail[record : record + 4] == _END64_SIGNATURE and tail[locator : locator + 4] == _LOCATOR_SIGNATURE


def _members(directory: bytes) -> Iterator[Member]:
    position, count = 0, 0
    while position < len(directory):
        if (
            len(directory) - position < _HEADER.size
            or directory[position : position + 4] != _HEADER_SIGNATURE
        ):
            raise InvalidInputError("the directory of the archive is damaged", field="source")
        header = _HEADER.unpack_from(directory, position)
        name_bytes, extra_bytes, comment_bytes = header[10:13]
        position += _HEADER.size
        name = directory[position : position + name_bytes]
        extra = directory[position + name_bytes : position + name_bytes + extra_bytes]
        position += name_bytes + extra_bytes + comment_bytes
        yield _member(header, name, extra)
        count += 1
        if count > ENTRIES_AT_MOST:
            raise InvalidInputError(f"the archive has more than {ENTRIES_AT_MOST} entries", field="source")


def _member(header: tuple[int, ...], name: bytes, extra: bytes) -> Member:
    flags, method, crc32, packed_bytes, size_bytes = header[3], header[4], header[7], header[8], header[9]
    size_bytes, packed_bytes, start = _large(extra, size_bytes, packed_bytes, header[16])
    text = name.decode("utf-8" if flags & _UTF8 else "cp437", errors="replace")
    return Member(
        name=text.replace("\\", "/"),
        size_bytes=size_bytes,
        packed_bytes=packed_bytes,
        crc32=crc32,
        start=start,
        method=method,
        mode=header[15] >> 16,
        is_encrypted=bool(flags & _ENCRYPTED),
    )


def _large(extra: bytes, *values: int) -> list[int]:
    """Return values, those that did not fit into 32 bits from the field that holds them in full."""
    wide = iter(_wide_numbers(extra))
    try:
        return [next(wide) if value == _FULL32 else value for value in values]
    except StopIteration:
        raise InvalidInputError("the directory of the archive is damaged", field="source") from None


def _wide_numbers(extra: bytes) -> tuple[int, ...]:
    while len(extra) >= 4:  # noqa: PLR2004 - kind and size
        kind, size = struct.unpack_from("<2H", extra)
        if kind == _ZIP64_FIELD:
            count = min(size, len(extra) - 4) // 8
            return struct.unpack_from(f"<{count}Q", extra, 4)
        extra = extra[4 + size :]
    return ()


def _check(found: list[Member], directory_start: int) -> None:
    for member in found:
        _check_one(member)
    size_bytes = sum(member.size_bytes for member in found)
    packed_bytes = sum(member.packed_bytes for member in found)
    if size_bytes > UNPACKED_AT_MOST_BYTES:
        raise InvalidInputError(
            f"the archive unpacks to more than {UNPACKED_AT_MOST_BYTES} bytes", field="source"
        )
    if size_bytes > max(SMALL_IN_ALL_BYTES, BEST_RATIO_OF_ALL * packed_bytes):
        raise InvalidInputError("the archive is no honest one: it claims too much", field="source")
    ordered = sorted(found, key=lambda member: member.start)
    ends = [*(member.start for member in ordered[1:]), directory_start]
    for member, end in zip(ordered, ends, strict=True):
        if member.start + LOCAL.size + member.packed_bytes > end:
            raise InvalidInputError(f"the archive is no honest one: {member.name!r} overlaps", field="source")


def _check_one(member: Member) -> None:
    if member.is_encrypted:
        raise InvalidInputError("the archive is encrypted; give one without a password", field="source")
    if member.method not in (STORED, DEFLATED):
        raise InvalidInputError(
            f"{member.name!r} in the archive is packed by method {member.method}; store it, or deflate it",
            field="source",
        )
    if member.size_bytes > max(SMALL_BYTES, BEST_RATIO * member.packed_bytes):
        raise InvalidInputError(
            f"the archive is no honest one: {member.name!r} claims too much", field="source"
        )
