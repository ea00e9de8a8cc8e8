"""ZIP archives from outside: their records, and whether their directory lets one dare to unpack them."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from shared.errors import InvalidInputError

ENTRIES_AT_MOST = 100_000
DIRECTORY_AT_MOST_BYTES = 32 << 20
BEST_RATIO = 1100
"""Deflate reaches 1032 : 1; whatever claims more was made to do harm."""
SMALL_BYTES = 1 << 20
"""So little does no harm, whatever it was made of."""
BEST_RATIO_OF_ALL = 100
"""Photos hardly shrink, and rasters that are mostly empty are never all of a flight."""
SMALL_IN_ALL_BYTES = 1 << 30
STORED, DEFLATED = 0, 8
"""Other methods unpack gigabytes of a kilobyte in one call, however little is asked for."""
ENCRYPTED = 0x1

END = struct.Struct("<4s4H2LH")
END_SIGNATURE = b"PK\x05\x06"
LOCATOR = struct.Struct("<4sLQL")
LOCATOR_SIGNATURE = b"PK\x06\x07"
END64 = struct.Struct("<4sQ2H2L4Q")
END64_SIGNATURE = b"PK\x06\x06"
HEADER = struct.Struct("<4s6H3L5H2L")
HEADER_SIGNATURE = b"PK\x01\x02"
LOCAL = struct.Struct("<4s5H3L2H")
LOCAL_SIGNATURE = b"PK\x03\x04"
COMMENT_AT_MOST_BYTES = 0xFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """What the directory of an archive says of one entry."""

    name: str
    size_bytes: int
    packed_bytes: int
    crc32: int
    mode: int
    """As Unix has it; 0 where the archive was made elsewhere."""
    start: int
    """Where its own header begins in the archive."""
    method: int = STORED
    is_encrypted: bool = False

    @property
    def kind(self) -> int:
        """Return the kind of file, such as ``stat.S_IFREG``; 0 where it is not told."""
        return stat.S_IFMT(self.mode)


def check(members: Iterable[Member], *, at_most_bytes: int, end: int) -> None:
    """Return if an archive can be unpacked.

    Args:
        members: All entries of its directory.
        at_most_bytes: How much it may unpack to.
        end: Where the directory begins: behind all entries.

    Raises:
        InvalidInputError: It is encrypted, too large, or claims the impossible.
    """
    listed = sorted(members, key=lambda member: member.start)
    for member in listed:
        _check_one(member)
    size_bytes = sum(member.size_bytes for member in listed)
    if size_bytes > at_most_bytes:
        raise _refused(f"it unpacks to more than {at_most_bytes} bytes, the most that is taken")
    _check_apart(listed, end)
    packed_bytes = sum(member.packed_bytes for member in listed)
    if size_bytes > max(SMALL_IN_ALL_BYTES, BEST_RATIO_OF_ALL * packed_bytes):
        raise _refused(f"it is no honest one: {packed_bytes} bytes unpack to {size_bytes} bytes")


def _check_one(member: Member) -> None:
    if member.is_encrypted:
        raise _refused("it is encrypted; give one without a password")
    if member.method not in (STORED, DEFLATED):
        raise _refused(f"{member.name!r} is packed by method {member.method}; store it, or deflate it")
    if member.size_bytes > max(SMALL_BYTES, BEST_RATIO * member.packed_bytes):
        raise _refused(f"it is no honest one: {member.name!r} claims too much, {member.size_bytes} bytes")


def _check_apart(listed: list[Member], end: int) -> None:
    """Look whether entries, by where they begin, share bytes."""
    for one, other in pairwise(listed):
        if _end_of(one) > other.start:
            raise _refused(f"it is no honest one: {other.name!r} lies within {one.name!r}")
    if listed and _end_of(listed[-1]) > end:
        raise _refused(f"it is no honest one: {listed[-1].name!r} overlaps its directory")


def _end_of(member: Member) -> int:
    """Return where an entry ends at the earliest: its name and extra fields are not counted."""
    return member.start + LOCAL.size + member.packed_bytes


def _refused(why: str) -> InvalidInputError:
    return InvalidInputError(why, field="source")
