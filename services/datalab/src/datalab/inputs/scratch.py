"""Folders for what is under way: each process has one, and what dead processes left in theirs is swept."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from shared.file_lock import lock_now

LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Scratch:
    """This process's folder."""

    root: Path

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """Make an empty folder that goes with the block."""
        folder = self.root / uuid4().hex
        await asyncio.to_thread(folder.mkdir)
        try:
            yield folder
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


@asynccontextmanager
async def open_scratch(folder: Path) -> AsyncIterator[Scratch]:
    """Make this process's folder in ``folder``, which goes with the block; sweep those of the dead."""
    root = folder / uuid4().hex
    lock = await asyncio.to_thread(_made, folder, root)
    try:
        yield Scratch(root)
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, root, ignore_errors=True))
        _forget(lock)


def _made(folder: Path, root: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    for lock_file in folder.glob(f"*.{LOCK}"):
        _sweep(lock_file)
    lock = lock_now(root.with_suffix(f".{LOCK}"))
    assert lock is not None, "nobody else knows the name"
    root.mkdir()
    return lock


def _forget(lock: IO[bytes]) -> None:
    Path(lock.name).unlink(missing_ok=True)
    lock.close()


def _sweep(lock_file: Path) -> None:
    lock = lock_now(lock_file)
    if lock is None:
        return
    shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
    _forget(lock)
