"""``https://host/folder/``: a folder that a web server lists on a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from yarl import URL

from shared.errors import InvalidInputError, NotFoundError
from shared.sources.http import listed_file
from shared.sources.http_answers import token_of
from shared.sources.index_page import Page, parsed
from shared.sources.names import confined
from shared.sources.port import (
    Capabilities,
    Entry,
    Folder,
    Skipped,
    SourceForbiddenError,
    check_offset,
)
from shared.sources.web_place import OnTheWeb
from shared.streams import Chunk

LOOKS_AT_ONCE = 8


@dataclass
class IndexSource(OnTheWeb):
    """A folder and those below it; the path of its URL ends with a slash.

    Pages for people tell no exact sizes, so that each file is asked about by itself; for thousands of them a
    manifest is quicker.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(ranges=True, parallel_at_most=8)

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
    async def open(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Read a file if it still has its ETag; where there is none, it is looked at again at the end."""
        check_offset(self, entry, offset_bytes)
        url = self._url(entry.path)

        async def is_same() -> bool:
            return await self._look(entry.path, entry.token) == entry

        async with listed_file(self.http, url, entry, offset_bytes, is_same=is_same) as chunks:
            yield chunks

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
