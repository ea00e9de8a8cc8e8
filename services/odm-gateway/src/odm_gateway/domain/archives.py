"""Which entries of an archive are files of a task."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

from odm_gateway.domain.manifest import counts_as_image
from odm_gateway.domain.uploads import file_name, folded, next_name
from shared.archives import Member
from shared.errors import InvalidInputError

ARCHIVE_AT_MOST_BYTES = 100 << 30


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


def unpacking(entries: Iterable[Member]) -> Unpacking:
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

    def free_name(self, entry: Member) -> str | None:
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


def _is_wanted(entry: Member) -> bool:
    folders, _, name = entry.name.replace("\\", "/").rpartition("/")
    if not name or entry.kind not in (0, stat.S_IFREG) or name.startswith("."):
        return False
    if "__MACOSX" in folders.split("/"):
        return False
    return not name.lower().endswith(".zip") or name.lower() == "seed.zip"
