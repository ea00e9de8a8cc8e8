"""Files that are either complete or absent."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNFINISHED: Final = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it takes ``path``'s place, on disk, once the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}{_UNFINISHED}")
    try:
        yield unfinished
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file's content in one step."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replace a file's content in one step, as UTF-8."""
    write_bytes(path, text.encode())


def sweep(folder: Path) -> None:
    """Remove what killed writers left unfinished, also in the cache; nobody may be writing."""
    for left in (*folder.rglob(f".*{_UNFINISHED}*"), *folder.glob("work/**/*.tmp")):
        left.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
