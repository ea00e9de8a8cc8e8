"""Whether a run has room on the disk, before it begins and before the map is drawn."""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .models import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PIXELS_PER_BYTE: Final = 4
"""A JPEG of a drone spends about two bits on a pixel at the least."""
_BYTES_PER_PIXEL: Final = 12
"""Draft, finished map with overviews, and its copy in the archive, at their worst."""
_WORK_BYTES_PER_PHOTO: Final = 4 << 20
_ALWAYS_BYTES: Final = 64 << 20
_FULL_BYTES: Final = 1 << 20


def bytes_for_run(image_dir: Path, max_canvas_megapixels: float) -> int:
    """Return what a run on a folder of photos may need, an upper bound by the files' sizes alone."""
    sizes = [path.stat().st_size for path in image_dir.iterdir() if path.is_file()]
    pixels = min(sum(sizes) * _PIXELS_PER_BYTE, int(max_canvas_megapixels * 1e6))
    return _ALWAYS_BYTES + len(sizes) * _WORK_BYTES_PER_PHOTO + pixels * _BYTES_PER_PIXEL


def bytes_for_map(pixels: int) -> int:
    """Return what drawing and publishing a map of so many pixels may need."""
    return _ALWAYS_BYTES + pixels * _BYTES_PER_PIXEL


def check_space(folder: Path, needed_bytes: int) -> None:
    """Refuse when the folder's disk has less room than needed.

    Raises:
        EngineError: ``NO_SPACE``, with both numbers.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise EngineError(
            "NO_SPACE",
            f"The run may need {needed_bytes:,} bytes and {free_bytes:,} bytes are free in {folder}. "
            "Free some space or ask for a coarser orthophoto-resolution.",
        )


@contextmanager
def full_disk_refused(folder: Path) -> Iterator[None]:
    """Turn a write that finds the disk full into a refusal.

    Raises:
        EngineError: ``NO_SPACE``, with what is free once the unfinished file is gone.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        free_bytes = shutil.disk_usage(folder).free
        raise EngineError(
            "NO_SPACE", f"The disk filled up during the run; {free_bytes:,} bytes are free in {folder} now."
        ) from error


def is_full(folder: Path) -> bool:
    """Return whether hardly anything more can be written."""
    return shutil.disk_usage(folder).free < _FULL_BYTES
