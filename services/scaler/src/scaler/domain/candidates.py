"""Which files of a folder are images to scale, as far as their listing tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".swp", "~")
"""Endings of what clients have not finished writing."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as one listing showed it; two equal ones have the same content, as far as the server tells."""

    path: str
    etag: str
    size_bytes: int
    modified_at: datetime | None


def is_wanted(name: str, prefixes: Sequence[str]) -> bool:
    """Return whether a name begins as those of images to scale do, and is no unfinished file's."""
    return name.startswith(tuple(prefixes)) and not name.lower().endswith(UNFINISHED)


def settled(
    seen: Iterable[Sighting],
    before: Mapping[str, Sighting],
    *,
    now: datetime,
    at_rest: timedelta,
) -> tuple[list[Sighting], list[Sighting]]:
    """Part files into those that have stopped changing and those to look at again.

    Args:
        seen: By the newest listing.
        before: By the listing before it, by path.
        now: When the newest listing was asked for.
        at_rest: How long a file must not have been written to, where the server tells when it was.
    """
    still: list[Sighting] = []
    moving: list[Sighting] = []
    for one in seen:
        is_same = before.get(one.path) == one
        (still if is_same and not _is_fresh(one, now, at_rest) else moving).append(one)
    return still, moving


def _is_fresh(one: Sighting, now: datetime, at_rest: timedelta) -> bool:
    """Return whether a file was written just now; a time in the future tells nothing but a wrong clock."""
    return one.modified_at is not None and timedelta() <= now - one.modified_at < at_rest
