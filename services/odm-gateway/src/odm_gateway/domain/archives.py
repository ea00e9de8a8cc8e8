"""Which entries of an archive are files of a task, and whether an archive is safe to unpack."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from odm_gateway.domain.manifest import counts_as_image
from odm_gateway.domain.uploads import file_name, folded, next_name
from shared.errors import InvalidInputError, PermanentError

ENTRIES_AT_MOST = 100_000
ARCHIVE_AT_MOST_BYTES = 100 << 30
BEST_RATIO = 1100
"""Deflate reaches 1032 : 1; whatever claims more was made to do harm."""
SMALL_BYTES = 1 << 20
"""So little does no harm, whatever it was made of."""
BEST_RATIO_OF_ALL = 100
"""Photos hardly shrink, and rasters that are mostly empty are never all of a flight."""
SMALL_IN_ALL_BYTES = 1 << 30

_METHODS = frozenset({0, 8})
"""Stored and deflated: others unpack gigabytes of a kilobyte in one call, however little is asked for."""
_LOCAL_HEADER_BYTES = 30
"""Before its name and its content; so far, at least, are two entries apart."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the directory of an archive says of one entry."""

    name: str
    size_bytes: int
    packed_bytes: int
    crc32: int
    mode: int
    """As Unix has it; 0 where the archive was made elsewhere."""
    start: int
    """Where it begins in the file."""
    method: int = 0
    is_encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Unpacking:
    """What of an archive is to be unpacked, flat, and what is not."""

    names: dict[int, str]
    """File names by the entries' positions."""
    skipped: tuple[str, ...]
    """Names of files that cannot be stored."""

    @property
    def image_count(self) -> int:
        """Return how many images there will be."""
        return sum(counts_as_image(name) for name in self.names.values())


def check(entries: Iterable[Entry], at_most_bytes: int) -> None:
    """Return if an archive can be unpacked.

    Raises:
        PermanentError: It is encrypted, too large, or claims the impossible.
    """
    listed = sorted(entries, key=lambda entry: entry.start)
    for entry in listed:
        _check_one(entry)
    size_bytes = sum(entry.size_bytes for entry in listed)
    if size_bytes > at_most_bytes:
        raise PermanentError(
            f"The archive unpacks to more than {at_most_bytes} bytes, the most that this node takes."
        )
    for one, other in pairwise(listed):
        if one.start + _LOCAL_HEADER_BYTES + one.packed_bytes > other.start:
            raise PermanentError(f"The archive is no honest one: {other.name!r} lies within {one.name!r}.")
    packed_bytes = sum(entry.packed_bytes for entry in listed)
    if size_bytes > max(SMALL_IN_ALL_BYTES, BEST_RATIO_OF_ALL * packed_bytes):
        raise PermanentError(
            f"The archive is no honest one: {packed_bytes} bytes unpack to {size_bytes} bytes."
        )


def _check_one(entry: Entry) -> None:
    if entry.is_encrypted:
        raise PermanentError("The archive is encrypted; send one without a password.")
    if entry.method not in _METHODS:
        raise PermanentError(
            f"{entry.name!r} in the archive is packed by method {entry.method}; store it, or deflate it."
        )
    if entry.size_bytes > max(SMALL_BYTES, BEST_RATIO * entry.packed_bytes):
        raise PermanentError(f"The archive is no honest one: {entry.name!r} claims {entry.size_bytes} bytes.")


def unpacking(entries: Iterable[Entry]) -> Unpacking:
    """Return what to unpack: every file under its bare name, whatever path it claims.

    Links, folders, hidden files and other archives are left alone. A file that is there twice counts once;
    of different files of one name the later ones are renamed, as uploads are.
    """
    names: dict[int, str] = {}
    skipped: list[str] = []
    naming = _Naming()
    for position, entry in enumerate(entries):
        if not _is_wanted(entry):
            continue
        try:
            name = naming.free_name(entry)
        except InvalidInputError:
            skipped.append(entry.name)
            continue
        if name:
            names[position] = name
    return Unpacking(names, tuple(skipped))


class _Naming:
    """Names files as uploads are; where thousands share a name, each is found at once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._there: set[tuple[str, int, int]] = set()
        self._last: dict[str, str] = {}
        """The longest name so far, by the one it was made from."""

    def free_name(self, entry: Entry) -> str | None:
        """Return the name of an entry's file, or None for one that is there already.

        Raises:
            InvalidInputError: No file can be called so.
        """
        name = file_name(entry.name)
        asked = folded(name)
        same = (asked, entry.size_bytes, entry.crc32)
        if same in self._there:
            return None
        if asked in self._last:
            name = next_name(self._last[asked])
        while folded(name) in self._taken:
            name = next_name(name)
        self._last[asked] = name
        self._taken.add(folded(name))
        self._there |= {same, (folded(name), entry.size_bytes, entry.crc32)}
        return name


def _is_wanted(entry: Entry) -> bool:
    folders, _, name = entry.name.replace("\\", "/").rpartition("/")
    kind = stat.S_IFMT(entry.mode)
    if not name or kind not in (0, stat.S_IFREG) or name.startswith("."):
        return False
    if "__MACOSX" in folders.split("/"):
        return False
    return not name.lower().endswith(".zip") or name.lower() == "seed.zip"
