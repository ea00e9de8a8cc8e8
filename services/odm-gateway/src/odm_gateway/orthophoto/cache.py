"""Arrays kept on disk, so that a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .models import Photo

Arrays = dict[str, "NDArray[Any]"]


def content_key(*parts: object) -> str:
    """Return a file name that is the same for the same ``parts`` only."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:24]


def photo_key(photo: Photo, *parts: object) -> str:
    """Return a key that changes when the photo's file or any of ``parts`` does."""
    stat = photo.path.stat()
    return content_key(photo.name, stat.st_size, stat.st_mtime_ns, *parts)


class ArrayCache:
    """Named sets of arrays in one folder; a set is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def load(self, key: str) -> Arrays | None:
        """Return what was stored under ``key``; an unreadable file counts as absent."""
        try:
            # Opened here: numpy forgets to close what turns out to be no archive.
            with (self._folder / f"{key}.npz").open("rb") as file, np.load(file) as stored:
                return {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def store(self, key: str, arrays: Arrays) -> None:
        """Write ``arrays`` beside their place and move them there."""
        temporary = self._folder / f"{key}.{os.getpid()}.{threading.get_ident()}.tmp"
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own options
        temporary.replace(self._folder / f"{key}.npz")
