"""Ground control points of scaled images: the pixels that they lie at move along with the images."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

POINTS_AT_MOST_BYTES = 16 << 20
"""A longer file is carried as it is."""
_OTHERS = frozenset({"geo.txt", "image_groups.txt"})
"""Texts beside images that name no pixels."""
_POINT = re.compile(r"(\s*(?:\S+\s+){3})(\S+)(\s+)(\S+)(\s+\S.*)", re.DOTALL)
"""Three coordinates, a pixel's two, and the image's name, with whatever stands behind."""


def may_hold_points(path: str) -> bool:
    """Return whether engines take a file of this name for ground control points."""
    name = PurePosixPath(path).name.lower()
    return name.endswith(".txt") and name not in _OTHERS


def scaled_points(content: bytes, factor: float) -> bytes:
    """Return a list of ground control points with its pixels at their places in the scaled images.

    Whole coordinates are the middle of a pixel, as OpenSfM reads them, and as the images are scaled: the
    picture's corner, half a pixel before the first one's middle, is what stays where it is. Lines that are
    no points stay as they are, byte for byte: the projection in front, comments, and what nobody can read.
    """
    try:
        lines = content.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return content
    return "".join(_scaled(line, factor) for line in lines).encode()


def _scaled(line: str, factor: float) -> str:
    match = None if line.lstrip().startswith("#") else _POINT.fullmatch(line)
    if match is None:
        return line
    before, x, between, y, behind = match.groups()
    try:
        [float(word) for word in before.split()]
        return f"{before}{_moved(x, factor)}{between}{_moved(y, factor)}{behind}"
    except ValueError:
        return line


def _moved(coordinate: str, factor: float) -> str:
    moved = (float(coordinate) + 0.5) * factor - 0.5
    return f"{moved:.4f}".rstrip("0").rstrip(".")
