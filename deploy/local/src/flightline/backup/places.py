"""Files of a home that a restore writes: whether somebody uses them, set aside, put in place."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from flightline.backup.manifest import StoredFile, stored_file
from shared.messaging.sqlite_owners import Owner
from shared.objects.disk import sync_folder

BESIDE = ("-wal", "-shm")
"""What SQLite may have beside a file."""


def is_in_the_way(path: Path, expected: StoredFile) -> bool:
    """Return whether anything but ``expected`` is at ``path``, or a journal that would be applied to it.

    A restore that was broken off leaves what it had put there, and goes on behind it.
    """
    journal = path.with_name(f"{path.name}-wal")
    has_journal = journal.exists() and journal.stat().st_size > 0
    return has_journal or (path.exists() and stored_file(path) != expected)


def is_in_use(path: Path) -> bool:
    """Return whether a process has the SQLite file at ``path`` open, or the bus that it is."""
    return _is_owned(path.with_name(f"{path.name}.owners")) or (path.exists() and _is_open(path))


def _is_owned(folder: Path) -> bool:
    if not folder.exists():
        return False
    owner = Owner(folder)
    try:
        return any(owner.is_alive(other.name) for other in folder.iterdir() if other.name != owner.name)
    finally:
        owner.close()


def _is_open(path: Path) -> bool:
    """Return whether anybody has a SQLite file open: all who have one in WAL mode share a lock on it."""
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    except sqlite3.DatabaseError:  # a damaged one, which nobody can use
        return False
    return False


def set_aside(paths: Sequence[Path]) -> list[str]:
    """Rename files that are in the way; nothing is ever deleted."""
    aside: list[str] = []
    for path in paths:
        target = _name_aside(path)
        for part in (path, *(path.with_name(path.name + suffix) for suffix in BESIDE)):
            if part.exists():
                place = target.with_name(target.name + part.name.removeprefix(path.name))
                part.rename(place)
                aside.append(str(place))
        sync_folder(path.parent)
    return aside


def _name_aside(path: Path) -> Path:
    """Return a new name, or, of what is left beside a file that was set aside already, that of the file."""
    before = sorted(path.parent.glob(f"{path.name}.before-*Z"))
    if before and not path.exists():
        return before[-1]
    return path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z")


def place(source: Path, target: Path, *, mode: int = 0o666) -> None:
    """Copy a file of the backup to where it belongs, whole or not at all.

    Args:
        source: The file.
        target: Where it belongs.
        mode: Who may read it, from its first byte on.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    copy = target.with_name(f".{target.name}.restoring")
    copy.unlink(missing_ok=True)  # of an attempt that was broken off
    opened = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(opened, "wb") as file, source.open("rb") as content:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())
    copy.rename(target)
    sync_folder(target.parent)
