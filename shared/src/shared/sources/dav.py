"""``davs://host/path``: a folder of a WebDAV server, such as Nextcloud."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from yarl import URL

from shared.dav.listing import itself_and_within
from shared.dav.multistatus import Answered, parsed
from shared.dav.questions import FILES
from shared.errors import InvalidInputError
from shared.sources.http import Http, listed_file
from shared.sources.http_answers import shown
from shared.sources.names import confined, has_control_characters
from shared.sources.port import (
    Capabilities,
    Elsewhere,
    Entry,
    Folder,
    Skipped,
    check_offset,
)
from shared.streams import Chunk

_XML = {"Depth": "1", "Content-Type": "application/xml; charset=utf-8", "Accept-Encoding": "identity"}
_MULTI_STATUS = 207


@dataclass(frozen=True)
class DavSource(Elsewhere):
    """A folder of a server; the login is in ``http``, never in the URI."""

    capabilities: ClassVar[Capabilities] = Capabilities(ranges=True, parallel_at_most=8)
    http: Http
    scheme: str
    """``dav`` or ``davs``."""
    host: str
    """With its port, unless that is the usual one."""
    root: str
    """Decoded, without leading or trailing slash; empty for the whole server."""

    @property
    def uri(self) -> str:
        """Return the folder as a ``davs://`` URI."""
        return f"{self.scheme}://{self.host}/{quote(self.root)}".rstrip("/")

    @property
    def system_id(self) -> str:
        """Return the server's host."""
        return self.host

    @property
    def path(self) -> str:
        """Return the folder's path on the server."""
        return self.root

    async def folder(self, path: str = "") -> Folder:
        """List one folder."""
        url = self._url(path, is_folder=True)
        itself, found = await self._resources(url, path, depth=1)
        if not itself.is_folder:
            raise InvalidInputError(f"{shown(url)} is no folder", field="source", value=path)
        named = [(f"{path}/{resource.path.rpartition('/')[2]}".lstrip("/"), resource) for resource in found]
        return Folder(
            files=tuple(_entry(place, resource) for place, resource in named if not _why_not(resource)),
            folders=tuple(place for place, resource in named if resource.is_folder),
            skipped=tuple(
                Skipped(place, reason)
                for place, resource in named
                if not resource.is_folder and (reason := _why_not(resource))
            ),
        )

    @asynccontextmanager
    async def open(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Read a file if it still has its ETag; where no ETag can tell, it is looked at again at the end."""
        check_offset(self, entry, offset_bytes)
        url = self._url(entry.path)

        async def is_same() -> bool:
            itself, _ = await self._resources(url, entry.path, depth=0)
            return (itself.size_bytes, itself.token) == (entry.size_bytes, entry.token)

        async with listed_file(self.http, url, entry, offset_bytes, is_same=is_same) as chunks:
            yield chunks

    async def _resources(self, url: URL, path: str, depth: int) -> tuple[Answered, list[Answered]]:
        document = await self.http.document(
            "PROPFIND", url, _MULTI_STATUS, headers={**_XML, "Depth": str(depth)}, data=FILES
        )
        return itself_and_within(parsed(document.body, shown(url)), self._whole(path), shown(url))

    def _whole(self, path: str) -> str:
        return f"{self.root}/{confined(path)}".strip("/")

    def _url(self, path: str, *, is_folder: bool = False) -> URL:
        scheme = "https" if self.scheme == "davs" else "http"
        place = quote(self._whole(path))
        slash = "/" if is_folder and place else ""
        return URL(f"{scheme}://{self.host}/{place}{slash}", encoded=True)


def _entry(path: str, resource: Answered) -> Entry:
    return Entry(path, resource.size_bytes or 0, resource.token, resource.sha256)


def _why_not(resource: Answered) -> str:
    """Return why something cannot be read as a file."""
    if resource.is_folder:
        return "a folder"
    if resource.size_bytes is None:
        return "the server does not tell its size"
    if not resource.token:
        return "the server tells neither an ETag nor when it was changed"
    if has_control_characters(resource.path):
        return "its name holds characters that no path may have"
    return ""
