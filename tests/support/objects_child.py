"""A process that puts objects into a folder until it is killed, and prints the key of each one stored.

Run as ``python -m tests.support.objects_child FOLDER NAME``. Every key is put twice, with other content.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import sys
from pathlib import Path

from shared.objects.file import FileObjects


async def put_for_ever(objects: FileObjects, name: str) -> None:
    """Put objects of changing size, four at a time."""
    numbers = itertools.count()

    async def work() -> None:
        for n in numbers:
            key = f"{name}/{n}"
            for _ in range(2):
                content = os.urandom(n * 7919 % 200_000)
                await objects.put(key, content, metadata={"sum": hashlib.sha256(content).hexdigest()})
                os.write(1, f"{key}\n".encode())

    await asyncio.gather(*(work() for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(put_for_ever(FileObjects(Path(sys.argv[1])), sys.argv[2]))
