"""The directory of a ZIP archive, read from its end."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from shared.archives import (
    COMMENT_AT_MOST_BYTES,
    DIRECTORY_AT_MOST_BYTES,
    ENCRYPTED,
    END,
    END64,
    END64_SIGNATURE,
    END_SIGNATURE,
    ENTRIES_AT_MOST,
    HEADER,
    HEADER_SIGNATURE,
    LOCATOR,
    LOCATOR_SIGNATURE,
    Member,
    check,
)
from shared.errors import InvalidInputError

UNPACKED_AT_MOST_BYTES = 100 << 30
TAIL_BYTES = END.size + COMMENT_AT_MOST_BYTES + LOCATOR.size + END64.size
"""So much of the end tells where the directory is."""
_ZIP64_FIELD = 1
_UTF8 = 0x800
_FULL32 = 0xFFFFFFFF


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
    size_bytes = END.unpack_from(tail, found)[5]
    end = base + found
    record = found - LOCATOR.size - END64.size
    if record >= 0 and _is_zip64(tail, record):
        size_bytes, end = END64.unpack_from(tail, record)[8], base + record
    if size_bytes > DIRECTORY_AT_MOST_BYTES or size_bytes > end:
        raise InvalidInputError("its directory is too large", field="source")
    return end - size_bytes, end


def members(directory: bytes, directory_start: int) -> list[Member]:
    """Return the entries of a directory that are safe to unpack.

    Raises:
        InvalidInputError: It is damaged, or the archive encrypted, too large, or made to do harm.
    """
    found = list(_members(directory))
    check(found, at_most_bytes=UNPACKED_AT_MOST_BYTES, end=directory_start)
    return found


def _end_record(tail: bytes) -> int:
    """Return where the last record begins: the one whose comment reaches to the end."""
    found = len(tail)
    while (found := tail.rfind(END_SIGNATURE, 0, found)) >= 0:
        rest = len(tail) - found - END.size
        if rest >= 0 and END.unpack_from(tail, found)[7] == rest:
            return found
    raise InvalidInputError("it is no ZIP archive, or not a whole one", field="source")


def _is_zip64(tail: bytes, record: int) -> bool:
    locator = record + END64.size
    return tail[record : record + 4] == END64_SIGNATURE and tail[locator : locator + 4] == LOCATOR_SIGNATURE


def _members(directory: bytes) -> Iterator[Member]:
    position, count = 0, 0
    while position < len(directory):
        if len(directory) - position < HEADER.size or directory[position : position + 4] != HEADER_SIGNATURE:
            raise InvalidInputError("its directory is damaged", field="source")
        header = HEADER.unpack_from(directory, position)
        name_bytes, extra_bytes, comment_bytes = header[10:13]
        position += HEADER.size
        name = directory[position : position + name_bytes]
        extra = directory[position + name_bytes : position + name_bytes + extra_bytes]
        position += name_bytes + extra_bytes + comment_bytes
        yield _member(header, name, extra)
        count += 1
        if count > ENTRIES_AT_MOST:
            raise InvalidInputError(f"it has more than {ENTRIES_AT_MOST} entries", field="source")


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
        is_encrypted=bool(flags & ENCRYPTED),
    )


def _large(extra: bytes, *values: int) -> list[int]:
    """Return values, those that did not fit into 32 bits from the field that holds them in full."""
    wide = iter(_wide_numbers(extra))
    try:
        return [next(wide) if value == _FULL32 else value for value in values]
    except StopIteration:
        raise InvalidInputError("its directory is damaged", field="source") from None


def _wide_numbers(extra: bytes) -> tuple[int, ...]:
    while len(extra) >= 4:  # noqa: PLR2004 - kind and size
        kind, size = struct.unpack_from("<2H", extra)
        if kind == _ZIP64_FIELD:
            count = min(size, len(extra) - 4) // 8
            return struct.unpack_from(f"<{count}Q", extra, 4)
        extra = extra[4 + size :]
    return ()
