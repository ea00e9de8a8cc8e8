"""What a server honours, found by trying it on files of our own."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.dav.errors import ChangedError
from shared.dav.model import DavFolder, Habits
from shared.dav.paths import age_of, parent_of, probe_in
from shared.errors import NotFoundError, PermanentError, TransientError

if TYPE_CHECKING:
    from shared.dav.verbs import Verbs

LEFT_OVER_AFTER = timedelta(hours=2)
_NEW = {"If-None-Match": "*"}
_NOBODYS_ETAG = '"flightline-nobodys"'
_HASHES = "nextcloud-checksum-update"


async def probe(verbs: Verbs, folder: str, *, has_tags: bool) -> Habits:
    """Try a server out in a folder; nothing stays behind, and what was left behind once is removed.

    Raises:
        NotFoundError: There is no such folder.
        RefusedError: Nothing may be written there.
    """
    await tidy(verbs, await verbs.folder(folder))
    one, other, third = probe_in(folder), probe_in(folder), probe_in(folder)
    try:
        habits = await _tried(verbs, one, other, has_tags=has_tags)
        return replace(habits, moves_any_name=await _is_moved(verbs, other, f"{third}?;"))
    finally:
        for path in (one, other, third, f"{third}?;"):
            with suppress(TransientError, PermanentError):
                await verbs.delete(path, is_ours=True)


async def _tried(verbs: Verbs, one: str, other: str, *, has_tags: bool) -> Habits:
    await verbs.put(one, b"one", _NEW)
    honours_if_none_match = await _is_refused(verbs.put(one, b"two", _NEW))
    honours_on_delete = await _is_refused(verbs.delete(one, _NOBODYS_ETAG, is_ours=True))
    if not honours_on_delete:
        await verbs.put(one, b"one")
    honours_on_move = await _is_refused(verbs.move(one, other, _NOBODYS_ETAG))
    for path in (one, other):
        await verbs.put(path, b"one")
    return Habits(
        honours_if_none_match=honours_if_none_match,
        honours_if_match=honours_on_delete and honours_on_move,
        honours_overwrite=await _is_refused(verbs.move(one, other)),
        hashes_content=_HASHES in await _features(verbs, parent_of(one)),
        has_tags=has_tags,
        was_tried=True,
    )


async def _is_refused(asked: Awaitable[object]) -> bool:
    try:
        await asked
    except ChangedError:
        return True
    except NotFoundError:
        return False
    return False


async def _is_moved(verbs: Verbs, source: str, target: str) -> bool:
    try:
        await verbs.move(source, target)
    except (TransientError, PermanentError):
        return False
    return await verbs.exists(target)


async def _features(verbs: Verbs, folder: str) -> str:
    answer = await verbs.at.answer("OPTIONS", verbs.at.url(folder, is_folder=True), 200, 204)
    return answer.headers.get("DAV", "")


async def tidy(verbs: Verbs, folder: DavFolder, older_than: timedelta = LEFT_OVER_AFTER) -> int:
    """Remove temporary files of ours whose writer must be dead by now, and return how many those were."""
    removed = 0
    for leftover in folder.leftovers:
        if age_of(leftover.name) > older_than:
            with suppress(NotFoundError):
                await verbs.delete(leftover.path, is_ours=True)
                removed += 1
    return removed
