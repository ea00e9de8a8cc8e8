"""Lists the objects in a folder, in the order of their keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from shared.objects import names
from shared.objects.disk import About
from shared.objects.port import StoredObject


def walk(folder: Path, before: str, prefix: str, after: str) -> Iterator[StoredObject]:
    """Yield the objects in ``folder``, whose keys begin with ``before``, by key.

    Args:
        folder: Where to look.
        before: The text of the keys down to ``folder``.
        prefix: Yield keys that begin with it only.
        after: Yield keys behind it only.
    """
    for entry in names.entries(folder, before):
        if entry.name.endswith("/"):
            fits = entry.name.startswith(prefix) or prefix.startswith(entry.name)
            if fits and (entry.name > after or after.startswith(entry.name)):
                yield from walk(Path(entry.found.path), entry.name, prefix, after)
        elif entry.name.startswith(prefix) and entry.name > after:
            with suppress(FileNotFoundError):  # deleted since
                yield described(entry.name, entry.found.stat(follow_symlinks=False), About())


def described(key: str, stat: os.stat_result, about: About) -> StoredObject:
    """Return what a file and its sidecar tell of the object ``key``."""
    return StoredObject(
        key,
        stat.st_size,
        about.sha256,
        datetime.fromtimestamp(stat.st_mtime, UTC),
        about.content_type,
        names.version(stat),
        dict(about.metadata),
    )
