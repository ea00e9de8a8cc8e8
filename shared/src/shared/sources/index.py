"""``https://host/folder/``: a folder that a web server lists on a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from yarl import URL

from shared.errors import InvalidInputError, NotFoundError
from shared.sources.http import Http
from shared.sources.http_answers import is_strong, shown, token_of
from shared.sources.index_page import Page, parsed
from shared.sources.names import confined
from shared.sources.port import (
    Capabilities,
    Elsewhere,
    Entry,
    Folder,
    Skipped,
    SourceChangedError,
    SourceForbiddenError,
    check_offset,
    whole,
)
from shared.sources.web_place import WebPlace

CAPABILITIES = Capabilities(ranges=True, parallel_at_most=8)
LOOKS_AT_ONCE = 8


@dataclass(frozen=True)
class IndexSource(Elsewhere):
    """A folder and those below it.

    Pages for people tell no exact sizes, so that each file is asked about by itself; for thousands of them a
    manifest is quicker.
    """

    http: Http
    place: WebPlace
    """Its path ends with a slash."""

    @property
    def uri(self) -> str:
        """Return the folder's URL."""
        return self.place.uri

    @property
    def system_id(self) -> str:
        """Return the server's host."""
        return self.place.host

    @property
    def path(self) -> str:
        """Return the folder's path on the server."""
        return self.place.path

    @property
    def capabilities(self) -> Capabilities:
        """Return what web servers are good at."""
        return CAPABILITIES

    async def folder(self, path: str = "") -> Folder:
        """List one folder."""
        place = quote(confined(path))
        url = self.place.below(f"{place}/" if place else "")
        document = await self.http.document("GET", url, 200)
        page = parsed(document)
        found = await self._looked_at(page, path)
        return Folder(
            files=tuple(item for item in found if isinstance(item, Entry)),
            folders=tuple(sorted(f"{path}/{name}".lstrip("/") for name in page.folders)),
            skipped=tuple(item for item in found if isinstance(item, Skipped)),
        )

    @asynccontextmanager
    async def open(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read a file if it still has its ETag; where there is none, it is looked at again at the end."""
        check_offset(self, entry, offset_bytes)
        url = self._url(entry.path)
        try:
            async with self.http.file(url, offset_bytes, entry.token, size_bytes=entry.size_bytes) as (
                answer,
                chunks,
            ):
                is_sure = is_strong(entry.token) and "ETag" in answer.headers
                yield whole(chunks, entry, offset_bytes)
        except NotFoundError as error:
            raise SourceChangedError(f"{shown(url)} is gone since it was listed") from error
        if not is_sure and await self._look(entry.path, entry.token) != entry:
            raise SourceChangedError(f"{shown(url)} was replaced while it was read")

    async def _looked_at(self, page: Page, path: str) -> list[Entry | Skipped]:
        slots = asyncio.Semaphore(LOOKS_AT_ONCE)

        async def look(name: str, told: tuple[int, str] | None) -> Entry | Skipped:
            place = f"{path}/{name}".lstrip("/")
            if told is not None:
                return Entry(place, *told)
            async with slots:
                return await self._look(place)

        return await asyncio.gather(*(look(name, told) for name, told in sorted(page.files.items())))

    async def _look(self, path: str, token_like: str = "") -> Entry | Skipped:
        """Ask for size and token of one file."""
        try:
            async with self.http.answer(
                "HEAD", self._url(path), 200, headers={"Accept-Encoding": "identity"}
            ) as answer:
                size, token = answer.headers.get("Content-Length", ""), token_of(answer.headers, token_like)
        except NotFoundError:
            return Skipped(path, "it is listed, and not there")
        except (SourceForbiddenError, InvalidInputError) as error:
            return Skipped(path, str(error))
        if not size.isdecimal() or not token:
            return Skipped(path, "the server tells neither its size nor when it was changed")
        return Entry(path, int(size), token)

    def _url(self, path: str) -> URL:
        return self.place.below(quote(confined(path)))
