"""The staged files of a flight, as they are called in one flat folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import PurePosixPath

from discovery.domain.flights import Frozen

NAME_AT_MOST_BYTES = 255
_REFUSED = str.maketrans(dict.fromkeys('/\\"&', "_"))
"""WebODM would take these for folders, quotes and entities."""


class StagedFile(Frozen):
    """One file in the object store."""

    path: str
    """Relative to the flight's source, or to the staged prefix."""
    key: str
    size_bytes: int


class StagedManifest(Frozen):
    """The list of staged files, as far as it is needed here."""

    images: tuple[StagedFile, ...]
    sidecars: tuple[StagedFile, ...] = ()


def flat_names(files: Iterable[StagedFile]) -> list[tuple[str, StagedFile]]:
    """Return the files by path, each with a name of its own.

    Of two with the same last part, in any case, the later one gets a mark that its whole path decides:
    whoever asks again gets the same names.
    """
    taken: set[str] = set()
    named: list[tuple[str, StagedFile]] = []
    for file in sorted(files, key=lambda one: one.path):
        name = _fitting(PurePosixPath(file.path).name.translate(_REFUSED), "")
        if name.lower() in taken:
            name = _fitting(name, f"-{_digest(file.path)}")
        taken.add(name.lower())
        named.append((name, file))
    return named


def _fitting(name: str, mark: str) -> str:
    """Return a name with ``mark`` before its suffix that no file system finds too long."""
    suffix = PurePosixPath(name).suffix[:20]
    stem = name[: len(name) - len(suffix)] if suffix else name
    space = NAME_AT_MOST_BYTES - len(f"{mark}{suffix}".encode())
    stem = stem.encode()[:space].decode(errors="ignore")
    return f"{stem or 'image'}{mark}{suffix}"


def _digest(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:12]
