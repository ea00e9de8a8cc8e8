"""Which files of a flight are images, and what they are called in an engine's folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

_SUFFIXES = frozenset({".jpg", ".jpeg", ".tif", ".tiff", ".png"})


def is_image(path: str) -> bool:
    """Return whether ``path`` is named like an image."""
    return PurePosixPath(path).suffix.lower() in _SUFFIXES


def flat_names(paths: Iterable[str]) -> dict[str, str]:
    """Return a file name for each relative path: its last part, or the whole where that is taken."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for path in paths:
        name = PurePosixPath(path).name
        if name.lower() in taken:
            name = path.replace("/", "_")
        while name.lower() in taken:
            name = f"_{name}"
        taken.add(name.lower())
        names[path] = name
    return names
