"""Which files of a flight are images, and what they are called in an engine's folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

_PHOTOS = frozenset({".jpg", ".jpeg", ".tif", ".tiff", ".png", ".bmp", ".dng", ".nef", ".raw"})
_VIDEOS = frozenset({".mp4", ".mov", ".lrv", ".ts"})


def is_image(path: str) -> bool:
    """Return whether ``path`` is named like something that ODM takes pictures from: a photo or a video."""
    return PurePosixPath(path).suffix.lower() in _PHOTOS | _VIDEOS


def flat_names(paths: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a file name for each relative path: its last part, or the whole where that is taken."""
    names: dict[str, str] = {}
    used = {name.lower() for name in taken}
    for path in paths:
        name = PurePosixPath(path).name
        if name.lower() in used:
            name = path.replace("/", "_")
        while name.lower() in used:
            name = f"_{name}"
        used.add(name.lower())
        names[path] = name
    return names
