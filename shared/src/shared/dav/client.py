"""A WebDAV server, taken strictly: nothing is believed, overwritten or deleted on a guess."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.dav import conditional, folders, probing, writing
from shared.dav.content import Content
from shared.dav.model import DavFolder, DavResource, Habits, Tag
from shared.dav.nextcloud import Nextcloud
from shared.dav.paths import confined
from shared.dav.place import DavPlace
from shared.dav.verbs import Verbs

if TYPE_CHECKING:
    from shared.dav.exchange import Exchange


class Dav:
    """A folder on a server; all paths are relative to it. Made by ``open_dav``.

    Every method raises ``TransientError`` where the server is out of reach, busy, or tells what is no answer;
    ``RefusedError`` where it does not let us; ``InvalidInputError`` for paths that lead elsewhere.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._verbs = Verbs(exchange)
        self._nextcloud = Nextcloud(exchange)
        self.habits = Habits()
        """What the server honours; until ``probe`` has found out, nothing is relied on."""

    @property
    def place(self) -> DavPlace:
        """Return where this is."""
        return self._verbs.at.place

    async def probe(self, folder: str) -> Habits:
        """Find out, on files of our own in ``folder``, what the server honours; nothing stays behind.

        Raises:
            NotFoundError: There is no such folder.
        """
        has_tags = await self._nextcloud.has_tags()
        self.habits = await probing.probe(self._verbs, confined(folder), has_tags=has_tags)
        return self.habits

    async def folder(self, path: str, *, tags: bool = False) -> DavFolder:
        """List one folder with one request.

        Raises:
            NotFoundError: There is none.
        """
        return await (self._nextcloud.folder(path) if tags else self._verbs.folder(path))

    async def tidy(self, folder: DavFolder, older_than: timedelta = probing.LEFT_OVER_AFTER) -> int:
        """Remove temporary files of ours whose writer must be dead; no request where there are none."""
        return await probing.tidy(self._verbs, folder, older_than)

    async def look(self, path: str, *, tags: bool = False) -> DavResource:
        """Look at one file or folder.

        Raises:
            NotFoundError: There is none.
        """
        return await (self._nextcloud.look(path) if tags else self._verbs.look(path))

    def read(
        self, path: str, *, etag: str = "", size_bytes: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read a file in pieces; what came is checked again when it has been read to its end.

        Args:
            path: Of the file.
            etag: As it was listed; nothing: what it has now.
            size_bytes: As it was listed.

        Raises:
            ChangedError: It was replaced since it was listed, or while it was read.
            NotFoundError: It is gone.
        """
        return self._verbs.read(path, etag, size_bytes)

    async def write_new(
        self, path: str, content: Content, *, sha256: str, modified_at: datetime | None = None
    ) -> DavResource:
        """Store a file where none is, and return it once the stored copy's size and hash are verified.

        Nobody ever sees half of it under its name: it is written beside, and then named, unless the server is
        known to do so itself. A writer that is killed leaves a temporary file, see ``tidy``.

        Args:
            path: Of the file.
            content: Bytes, or a file open for reading.
            sha256: Its hash.
            modified_at: When the content was made, kept where the server can.

        Raises:
            AlreadyThereError: There is one of that name, or a folder; it stays as it is.
            ParentMissingError: There is no such folder.
        """
        what = writing.to_write(content, sha256, modified_at)
        return await writing.write_new(self._verbs, self.habits, path, what)

    async def stored_sha256(self, path: str, *, etag: str = "") -> str:
        """Return the hash of what is stored: by the server where it can, else of what it sends back.

        Raises:
            ChangedError: It is not what was looked at.
            NotFoundError: It is gone.
        """
        return await writing.stored_sha256(self._verbs, self.habits, path, etag)

    async def delete(self, path: str, *, etag: str, size_bytes: int | None = None) -> None:
        """Delete a file that still is what was looked at.

        Raises:
            ChangedError: It is not; it stays.
            NotFoundError: It is gone already.
        """
        seen = conditional.Seen(confined(path), etag, size_bytes)
        await conditional.delete(self._verbs, self.habits, seen)

    async def move(self, source: str, target: str, *, etag: str) -> None:
        """Move a file that still is what was looked at to where nothing is.

        Raises:
            AlreadyThereError: Something is; both stay.
            ChangedError: It is not what it was; it stays.
            NotFoundError: It is gone.
            ParentMissingError: There is no such folder.
        """
        seen = conditional.Seen(confined(source), etag)
        await conditional.move(self._verbs, self.habits, seen, confined(target))

    async def make_folders(self, path: str) -> None:
        """Make a folder and those above it, where they are missing.

        Raises:
            AlreadyThereError: There is a file of that name.
        """
        await folders.make_folders(self._verbs, path)

    async def tags(self) -> tuple[Tag, ...]:
        """Return all tags of the Nextcloud that this user may see; there may be thousands."""
        return await self._nextcloud.tags()

    async def tagged(self, tag_id: int) -> tuple[DavResource, ...]:
        """Return what bears a tag, anywhere below the place."""
        return await self._nextcloud.tagged(tag_id)

    async def untag(self, file_id: int, tag_id: int) -> None:
        """Take a tag off a file; it does not matter if it is off already."""
        await self._nextcloud.untag(file_id, tag_id)


@asynccontextmanager
async def open_dav(place: DavPlace, *, connections: int = 16) -> AsyncIterator[Dav]:
    """Open a place; nothing is asked yet.

    Args:
        place: Where, and as whom.
        connections: How many there may be at once; requests beyond wait.
    """
    from shared.dav.exchange import open_exchange  # noqa: PLC0415 - heavy, and an extra

    async with open_exchange(place, connections) as exchange:
        yield Dav(exchange)
