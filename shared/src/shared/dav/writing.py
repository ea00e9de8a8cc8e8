"""New files: whole and verified, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from shared.dav.conditional import check_free, check_movable
from shared.dav.content import Content, size_of
from shared.dav.errors import AlreadyThereError, ChangedError, RefusedError
from shared.dav.etags import is_told
from shared.dav.paths import confined, temporary_beside
from shared.dav.verbs import timed
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError

if TYPE_CHECKING:
    from shared.dav.model import DavResource, Habits
    from shared.dav.verbs import Verbs

TIDIED_WITHIN_S = 5.0
_CHECKSUM = re.compile(r"SHA256:([0-9a-fA-F]{64})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Written:
    """What is to be stored."""

    content: Content
    size_bytes: int
    sha256: str
    modified_at: datetime | None


def to_write(content: Content, sha256: str, modified_at: datetime | None) -> Written:
    """Return what is to be stored, measured."""
    return Written(content, size_of(content), sha256.lower(), modified_at)


async def write_new(verbs: Verbs, habits: Habits, path: str, what: Written) -> DavResource:
    """Store a file where none is, and return it once the stored copy is known to be right.

    Raises:
        AlreadyThereError: There is one; it stays as it is.
        ParentMissingError: There is no such folder.
    """
    await check_free(verbs, confined(path))
    if habits.writes_whole:
        return await _written_under_its_name(verbs, habits, path, what)
    check_movable(habits, path)
    async with _temporary(verbs, path) as temporary:
        await _put(verbs, temporary, what, {})  # no condition: half of it may be there from a try before
        stored = await _verified(verbs, habits, temporary, what)
        await _named(verbs, temporary, path)
    return await _found_as_ours(verbs, habits, path, stored.etag, what)


async def stored_sha256(verbs: Verbs, habits: Habits, path: str, etag: str = "") -> str:
    """Return the hash of what is stored: the server's own where it can hash, else that of what it sends back.

    Raises:
        ChangedError: It was replaced.
        NotFoundError: It is gone.
    """
    if habits.hashes_content and (found := await _hashed_there(verbs, path, etag)):
        return found
    digest = hashlib.sha256()
    async with verbs.read(path, etag) as chunks:
        async for chunk in chunks:
            digest.update(chunk)
    return digest.hexdigest()


async def _hashed_there(verbs: Verbs, path: str, etag: str) -> str:
    """Let Nextcloud hash what it has stored; nothing where it does not."""
    headers = {"X-Recalculate-Hash": "sha256"}
    if is_told(etag):
        headers["If-Match"] = etag
    try:
        answer = await verbs.at.answer("PATCH", verbs.at.url(path), 200, 204, headers=headers)
    except (RefusedError, InvalidInputError):
        return ""
    told = _CHECKSUM.search(answer.headers.get("OC-Checksum", ""))
    return told[1].lower() if told and answer.status == HTTPStatus.NO_CONTENT else ""


async def _written_under_its_name(verbs: Verbs, habits: Habits, path: str, what: Written) -> DavResource:
    try:
        await _put(verbs, path, what, {"If-None-Match": "*"})
    except (ChangedError, TransientError) as error:
        with suppress(TransientError, PermanentError):  # it may have been stored, and the answer lost
            return await _verified(verbs, habits, path, what)
        if isinstance(error, ChangedError):
            raise AlreadyThereError(f"{path!r} is there already") from error
        raise
    try:
        return await _verified(verbs, habits, path, what)
    except DamagedOnTheWayError as error:  # not deleted: nothing proves it ours, an ETag may be another's too
        raise AlreadyThereError(
            f"{path!r} is not what was sent: somebody wrote it in the same moment, or it is damaged"
        ) from error


async def _put(verbs: Verbs, path: str, what: Written, headers: Mapping[str, str]) -> None:
    await verbs.put(path, what.content, {**headers, **timed(what.modified_at)})


async def _verified(verbs: Verbs, habits: Habits, path: str, what: Written) -> DavResource:
    """Return what is stored.

    Raises:
        DamagedOnTheWayError: It is not what was sent.
    """
    try:
        found = await verbs.look(path)
    except NotFoundError as error:
        raise TransientError(f"{path!r}: the server says it was stored, and it is not there") from error
    is_right = found.size_bytes == what.size_bytes
    if not is_right or await stored_sha256(verbs, habits, path, found.etag) != what.sha256:
        raise DamagedOnTheWayError(path)
    return found


class DamagedOnTheWayError(TransientError):
    """What the server has stored is not what was sent."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r}: what the server has stored is not what was sent")


@asynccontextmanager
async def _temporary(verbs: Verbs, path: str) -> AsyncIterator[str]:
    """Give out a name beside ``path``; whatever is left under it is removed if this fails."""
    temporary = temporary_beside(path)
    try:
        yield temporary
    except BaseException:
        await _discarded(verbs, temporary)
        raise


async def _discarded(verbs: Verbs, temporary: str) -> None:
    """Remove a temporary file if that is quickly done; otherwise it is tidied up one day."""
    with suppress(TransientError, PermanentError, TimeoutError):
        async with asyncio.timeout(TIDIED_WITHIN_S):
            await verbs.delete(temporary, is_ours=True)


async def _named(verbs: Verbs, temporary: str, path: str) -> None:
    """Give a temporary file its name.

    Raises:
        AlreadyThereError: Something took that name meanwhile.
    """
    try:
        await verbs.move(temporary, path)
    except ChangedError as error:
        raise AlreadyThereError(f"{path!r} is there already") from error
    except TransientError:
        if await verbs.exists(temporary) or not await verbs.exists(path):
            raise


async def _found_as_ours(verbs: Verbs, habits: Habits, path: str, etag: str, what: Written) -> DavResource:
    """Look at what was just named: some servers let two writers at once take one name.

    Raises:
        AlreadyThereError: Somebody else's has that name.
    """
    try:
        found = await verbs.look(path)
        is_ours = found.etag == etag or await stored_sha256(verbs, habits, path, found.etag) == what.sha256
    except (NotFoundError, ChangedError) as error:
        raise TransientError(f"{path!r} was stored, and at once moved or replaced by somebody") from error
    if not is_ours:
        raise AlreadyThereError(f"{path!r} is there already: somebody wrote it in the same moment")
    return found
