"""Who of several processes is alive, told by locks that the kernel drops when a process ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO
from uuid import uuid4

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes], *, wait: bool) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(file: IO[bytes], *, wait: bool) -> bool:
        try:
            # lockf, not flock: a forked worker process must not keep its parent alive.
            fcntl.lockf(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


_here: set[str] = set()
"""The owners of this process; opening and closing their files would drop their locks."""


class Owner:
    """A name that counts as alive from here until ``close`` or the end of the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        for path in folder.iterdir():
            self.is_alive(path.name)
        self.name, self._file = _locked(folder)

    def is_alive(self, name: str) -> bool:
        """Return whether the owner called ``name`` still runs; the file of one that does not is removed."""
        if name in _here:
            return True
        path = self._folder / name
        try:
            with path.open("rb+") as file:
                if not _lock(file, wait=False):
                    return True
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        return False

    def close(self) -> None:
        """Stop being alive."""
        (self._folder / self.name).unlink(missing_ok=True)
        self._file.close()
        _here.discard(self.name)


def _locked(folder: Path) -> tuple[str, IO[bytes]]:
    while True:
        name = f"{os.getpid()}-{uuid4().hex[:12]}"
        _here.add(name)
        file = (folder / name).open("xb+")
        # Somebody who looked between open and lock took us for dead and removed the file.
        if _lock(file, wait=True) and (folder / name).exists():
            return name, file
        file.close()
        _here.discard(name)
