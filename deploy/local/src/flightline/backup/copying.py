"""Objects from one store to another: each whole, with the hash of what was read."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from flightline.backup.manifest import OBJECT_LIST, OBJECTS, ObjectLine
from flightline.display import Display
from shared.errors import NotFoundError
from shared.objects.file import FileObjects
from shared.objects.port import ContentError, ObjectStore, StoredObject

TIMES = 3
"""How often an object is read that is replaced meanwhile."""


async def copy_objects(objects: ObjectStore, folder: Path, show: Display) -> tuple[int, int, int]:
    """Copy every object into the backup in ``folder``.

    Returns:
        How many, their bytes, and how many were deleted meanwhile.
    """
    target = await asyncio.to_thread(FileObjects, folder / OBJECTS)
    count = size_bytes = gone = 0
    with ExitStack() as stack:
        lines = stack.enter_context((folder / OBJECT_LIST).open("w", encoding="utf-8"))
        async for found in objects.list():
            stored = await copied(objects, target, found.key)
            if stored is None:
                gone += 1
                continue
            _note(lines, stored)
            count, size_bytes = count + 1, size_bytes + stored.size_bytes
            show.stage("objects", count, count + 1, f"{size_bytes / 1e6:.0f} MB")
    show.stage("objects", 1, 1, f"{count} of {size_bytes / 1e6:.0f} MB")
    return count, size_bytes, gone


async def copied(source: ObjectStore, target: ObjectStore, key: str) -> StoredObject | None:
    """Copy one object with what is kept beside it; None: it is not there any more.

    Raises:
        ContentError: Its content does not have the hash that is kept of it.
    """
    for attempt in range(1, TIMES + 1):
        about = await source.stat(key)
        if about is None:
            return None
        try:
            async with source.open(key) as content:
                return await target.put(
                    key,
                    content,
                    size_bytes=about.size_bytes,
                    sha256=about.sha256,
                    content_type=about.content_type,
                    metadata=dict(about.metadata),
                )
        except NotFoundError:
            return None
        except ContentError:  # replaced between two looks, unless it is damaged
            if attempt == TIMES:
                raise
    raise AssertionError


def _note(lines: IO[str], stored: StoredObject) -> None:
    assert stored.sha256 is not None
    line = ObjectLine(key=stored.key, size_bytes=stored.size_bytes, sha256=stored.sha256)
    lines.write(line.model_dump_json() + "\n")
