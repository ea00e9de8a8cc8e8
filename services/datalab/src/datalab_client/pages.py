"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from datalab_client.connection import Connection

AT_ONCE = 100


def each(
    connection: Connection, path: str, *, at_once: int = AT_ONCE, **query: Any
) -> Iterator[dict[str, Any]]:
    """Yield what a list has, page after page; none twice, also where the list changes meanwhile."""
    seen: set[int] = set()
    offset = 0
    while True:
        page = connection.get(path, limit=at_once, offset=offset or None, **query)
        for one in page["results"]:
            if one["id"] not in seen:
                seen.add(one["id"])
                yield one
        offset += len(page["results"])
        if not page["next"] or not page["results"]:
            return
