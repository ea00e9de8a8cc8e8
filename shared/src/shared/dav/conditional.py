"""Deleting and moving only what was looked at, whatever the server makes of ``If-Match``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dav.errors import AlreadyThereError, ChangedError, FullError, LockedError
from shared.dav.etags import is_told
from shared.dav.paths import is_odd
from shared.errors import ConflictError, InvalidInputError, NotFoundError, TransientError

if TYPE_CHECKING:
    from shared.dav.model import Habits
    from shared.dav.verbs import Verbs

STRONG_WITHIN_S = (0.0, 0.4, 0.4, 0.4, 0.8)
"""Pauses until an ETag is strong: Apache's are weak for a second after a write, and match nothing then."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was looked at."""

    path: str
    etag: str
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        if not self.etag:
            raise InvalidInputError(f"{self.path!r}: the server tells nothing to know the file by again")


async def delete(verbs: Verbs, habits: Habits, seen: Seen) -> None:
    """Delete a file that still is what was looked at.

    Raises:
        ChangedError: It is not; it stays.
        NotFoundError: It is gone.
    """
    if not (habits.honours_if_match and is_told(seen.etag)):
        await check_same(verbs, seen)
    await _if_matching(verbs, seen, lambda etag: verbs.delete(seen.path, etag))


async def move(verbs: Verbs, habits: Habits, seen: Seen, target: str) -> None:
    """Move a file that still is what was looked at to where nothing is.

    Raises:
        AlreadyThereError: Something is.
        ChangedError: It is not what it was.
        NotFoundError: It is gone.
        ParentMissingError: There is no such folder.
    """
    if seen.path == target:
        raise InvalidInputError(f"{target!r} would be moved onto itself", field="path", value=target)
    check_movable(habits, target)
    if not (habits.honours_if_match and is_told(seen.etag)):
        await check_same(verbs, seen)
        await verbs.check_parent(target, NotFoundError(target))
    if not habits.honours_overwrite:
        await check_free(verbs, target)
    try:
        await _if_matching(verbs, seen, lambda etag: _moved_to_a_free_place(verbs, seen, target, etag))
    except (LockedError, FullError):
        raise
    except TransientError as error:
        if not await _was_moved(verbs, seen, target):
            await verbs.check_parent(target, error)
            raise


async def _moved_to_a_free_place(verbs: Verbs, seen: Seen, target: str, etag: str) -> None:
    try:
        await verbs.move(seen.path, target, etag)
    except ChangedError as error:
        await check_free(verbs, target, error)
        raise


def check_movable(habits: Habits, target: str) -> None:
    """Raise ``InvalidInputError`` if the server would move a file to another name than this."""
    if is_odd(target) and not habits.moves_any_name:
        raise InvalidInputError(
            f"{target!r}: this server cannot move files to names with ? or ;", field="path", value=target
        )


async def check_free(verbs: Verbs, path: str, error: Exception | None = None) -> None:
    """Raise ``AlreadyThereError`` if something is at a path."""
    if await verbs.exists(path):
        raise AlreadyThereError(f"{path!r} is there already") from error


async def check_same(verbs: Verbs, seen: Seen) -> bool:
    """Look at a file again, and return whether its ETag is weak.

    Raises:
        ChangedError: It was replaced.
        NotFoundError: It is gone.
    """
    found = await verbs.look(seen.path)
    is_same_size = seen.size_bytes is None or found.size_bytes == seen.size_bytes
    if found.is_folder or found.etag != seen.etag or not is_same_size:
        raise ChangedError(f"{seen.path!r} was replaced since it was looked at")
    return found.has_weak_etag


async def _if_matching(verbs: Verbs, seen: Seen, once: Callable[[str], Awaitable[None]]) -> None:
    """Do something on the condition of an ETag; where the server never accepts it, look and do it without."""
    for pause_s in STRONG_WITHIN_S:
        await asyncio.sleep(pause_s)
        try:
            return await once(seen.etag)
        except AlreadyThereError:
            raise
        except ChangedError:
            await check_same(verbs, seen)
    return await once("")


async def _was_moved(verbs: Verbs, seen: Seen, target: str) -> bool:
    """After a failure, return whether the server moved it all the same."""
    try:
        if await verbs.exists(seen.path):
            return False
        return (await verbs.look(target)).etag == seen.etag
    except (TransientError, NotFoundError, ConflictError):
        return False
