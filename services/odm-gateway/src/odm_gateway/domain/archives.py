"""Which entries of an archive are files of a task, and whether an archive is safe to unpack."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

from odm_gateway.domain.uploads import file_name, next_name
from shared.errors import InvalidInputError, PermanentError

ENTRIES_AT_MOST = 100_000
ARCHIVE_AT_MOST_BYTES = 100 << 30
BEST_RATIO = 1100
"""Deflate reaches 1032 : 1; whatever claims more was made to do harm."""
SMALL_BYTES = 1 << 20
"""So little does no harm, whatever it was made of."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the directory of an archive says of one entry."""

    name: str
    size_bytes: int
    packed_bytes: int
    crc32: int
    mode: int
    """As Unix has it; 0 where the archive was made elsewhere."""
    is_encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Unpacking:
    """What of an archive is to be unpacked, flat, and what is not."""

    names: dict[int, str]
    """File names by the entries' positions."""
    skipped: tuple[str, ...]
    """Names of files that cannot be stored."""


def check(entries: Iterable[Entry], at_most_bytes: int) -> None:
    """Return if an archive can be unpacked.

    Raises:
        PermanentError: It is encrypted, too large, or claims the impossible.
    """
    total_bytes = 0
    for entry in entries:
        if entry.is_encrypted:
            raise PermanentError("The archive is encrypted; send one without a password.")
        if entry.size_bytes > max(SMALL_BYTES, BEST_RATIO * entry.packed_bytes):
            raise PermanentError(
                f"The archive is no honest one: {entry.name!r} claims {entry.size_bytes} bytes."
            )
        total_bytes += entry.size_bytes
        if total_bytes > at_most_bytes:
            raise PermanentError(
                f"The archive unpacks to more than {at_most_bytes} bytes, the most that this node takes."
            )


def unpacking(entries: Iterable[Entry]) -> Unpacking:
    """Return what to unpack: every file under its bare name, whatever path it claims.

    Links, folders, hidden files and other archives are left alone. A file that is there twice counts once;
    of different files of one name the later ones are renamed, as uploads are.
    """
    names: dict[int, str] = {}
    skipped: list[str] = []
    there: dict[str, Entry] = {}
    for position, entry in enumerate(entries):
        if not _is_wanted(entry):
            continue
        try:
            name = _free_name(file_name(entry.name), entry, there)
        except InvalidInputError:
            skipped.append(entry.name)
            continue
        if name:
            there[name.casefold()] = entry
            names[position] = name
    return Unpacking(names, tuple(skipped))


def _free_name(name: str, entry: Entry, there: dict[str, Entry]) -> str | None:
    while known := there.get(name.casefold()):
        if (known.size_bytes, known.crc32) == (entry.size_bytes, entry.crc32):
            return None
        name = next_name(name)
    return name


def _is_wanted(entry: Entry) -> bool:
    folders, _, name = entry.name.replace("\\", "/").rpartition("/")
    kind = stat.S_IFMT(entry.mode)
    if not name or kind not in (0, stat.S_IFREG) or name.startswith("."):
        return False
    if "__MACOSX" in folders.split("/"):
        return False
    return not name.lower().endswith(".zip") or name.lower() == "seed.zip"
