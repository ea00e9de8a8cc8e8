"""Single requests to a place, as the protocol has them; what is done with several is in other modules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from yarl import URL

from shared.dav import questions
from shared.dav.errors import ChangedError, ParentMissingError, RefusedError
from shared.dav.etags import is_told, quoted, stand_in
from shared.dav.listing import folder_at, itself_and_within, resource_at
from shared.dav.model import DavFolder, DavResource
from shared.dav.paths import decoded, parent_of
from shared.errors import InvalidInputError, NotFoundError, TransientError

if TYPE_CHECKING:  # heavy, and an extra
    from aiohttp import ClientResponse

    from shared.dav.content import Content
    from shared.dav.exchange import Answer, Exchange

_SKIP_TRASH = {"X-NC-Skip-Trashbin": "true"}


@dataclass(frozen=True, slots=True)
class Verbs:
    """The verbs of WebDAV, on paths below a place."""

    at: Exchange

    async def look(self, path: str) -> DavResource:
        """Look at one thing.

        Raises:
            NotFoundError: There is none.
        """
        url = self.at.url(path)
        return await resource_told(self.at, url, path, questions.FILES)

    async def folder(self, path: str) -> DavFolder:
        """List a folder.

        Raises:
            NotFoundError: There is none.
            InvalidInputError: It is a file.
        """
        url = self.at.url(path, is_folder=True)
        try:
            return await folder_told(self.at, url, path, questions.FILES)
        except RefusedError as error:  # as lighttpd says of a file that is asked for as a folder
            if error.is_login or (await self.look(path)).is_folder:
                raise
            raise InvalidInputError(f"{url} is no folder", field="path", value=path) from error

    async def exists(self, path: str) -> bool:
        """Return whether there is anything at a path."""
        try:
            await self.look(path)
        except NotFoundError:
            return False
        return True

    @asynccontextmanager
    async def read(
        self, path: str, etag: str = "", size_bytes: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read a file that still is what was looked at."""
        if not etag:
            found = await self.look(path)
            etag, size_bytes = found.etag, found.size_bytes if size_bytes is None else size_bytes
        async with AsyncExitStack() as stack:
            response = await self._got(stack, path, etag)
            is_sure = _is_same(response, etag, size_bytes, path)
            yield self._whole(response, path, etag, is_sure=is_sure)

    async def _got(self, stack: AsyncExitStack, path: str, etag: str) -> ClientResponse:
        from shared.dav.meaning import refused  # noqa: PLC0415 - heavy, and an extra

        url = self.at.url(path)
        for headers in ({"If-Match": etag}, {}) if is_told(etag) else ({},):
            response = await stack.enter_async_context(self.at.asking("GET", url, headers))
            if response.status == 200:  # noqa: PLR2004
                return response
            if response.status != 412 or not headers:  # noqa: PLR2004 - a weak ETag matches nothing
                break
            await stack.aclose()
        raise await refused("GET", response)

    async def _whole(
        self, response: ClientResponse, path: str, etag: str, *, is_sure: bool
    ) -> AsyncIterator[bytes]:
        from shared.sources.pace import paced  # noqa: PLC0415 - heavy, and an extra

        received_bytes = 0
        async for chunk in paced(response.content.readany, str(response.url), self.at.pace):
            received_bytes += len(chunk)
            yield chunk
        expected_bytes = response.content_length
        if expected_bytes is not None and received_bytes != expected_bytes:
            raise TransientError(f"{path}: {received_bytes} bytes came of {expected_bytes}")
        if not is_sure:
            found = await self.look(path)
            if (found.etag, found.size_bytes) != (etag, received_bytes):
                raise ChangedError(f"{path} was replaced while it was read, or came in part")

    async def put(self, path: str, content: Content, headers: Mapping[str, str] | None = None) -> Answer:
        """Write a file.

        Raises:
            ParentMissingError: There is no folder for it.
        """
        from shared.dav.upload import Upload  # noqa: PLC0415 - heavy, and an extra

        try:
            return await self.at.answer(
                "PUT", self.at.url(path), 200, 201, 204, headers=headers, data=Upload(content)
            )
        except (NotFoundError, TransientError) as error:
            await self.check_parent(path, error)
            raise

    async def delete(self, path: str, etag: str = "", *, is_ours: bool = False) -> None:
        """Delete a file, if it still has its ETag; what is ours alone needs no trash."""
        headers = {"If-Match": etag} if is_told(etag) else {}
        await self.at.answer(
            "DELETE", self.at.url(path), 200, 204, headers=headers | (_SKIP_TRASH if is_ours else {})
        )

    async def move(self, source: str, target: str, etag: str = "") -> None:
        """Give a file another place that nothing is at, if it still has its ETag."""
        headers = {"Overwrite": "F", "Destination": str(self.at.url(target))}
        if is_told(etag):
            headers["If-Match"] = etag
        await self.at.answer("MOVE", self.at.url(source), 201, 204, headers=headers)

    async def check_parent(self, path: str, error: Exception) -> None:
        """After a failure, see whether it is that the folder is missing: servers answer 404, 409 or 500.

        Raises:
            ParentMissingError: It is.
        """
        parent = parent_of(path)
        try:
            is_missing = not await self.exists(parent)
        except TransientError:
            return
        if is_missing:
            raise ParentMissingError(f"there is no folder {parent!r} for {path!r}") from error


async def resource_told(at: Exchange, url: URL, path: str, question: bytes) -> DavResource:
    """Ask about one thing."""
    answered = await at.entries("PROPFIND", url, question)
    itself, _ = itself_and_within(answered, decoded(url.raw_path), str(url), at.place.root)
    return resource_at(path, itself)


async def folder_told(at: Exchange, url: URL, path: str, question: bytes) -> DavFolder:
    """Ask about a folder and what lies in it."""
    answered = await at.entries("PROPFIND", url, question, depth=1)
    itself, within = itself_and_within(answered, decoded(url.raw_path), str(url), at.place.root)
    if not itself.is_folder:
        raise InvalidInputError(f"{url} is no folder", field="path", value=path)
    return folder_at(path, itself, within)


def timed(modified_at: datetime | None) -> dict[str, str]:
    """Return the header by which Nextcloud keeps a file's time of change."""
    return {"X-OC-MTime": str(int(modified_at.timestamp()))} if modified_at else {}


def _is_same(response: ClientResponse, etag: str, size_bytes: int | None, path: str) -> bool:
    """Return whether the headers tell that this is the file that was looked at; False: look at the end.

    Raises:
        ChangedError: They tell that it is not.
        TransientError: It comes packed, so that its length says nothing.
    """
    headers = response.headers
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise TransientError(f"{path} comes packed, though that was not asked for")
    length = response.content_length
    told = (
        quoted(headers.get("ETag", ""))
        if is_told(etag)
        else stand_in(headers.get("Last-Modified", ""), length)
    )
    if (told and told != etag) or (size_bytes is not None and length not in (None, size_bytes)):
        raise ChangedError(f"{path} was replaced since it was looked at")
    return bool(told) and length is not None
