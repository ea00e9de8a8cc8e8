"""``tapis://system/path``: a folder of a Tapis storage system, as one user may read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from typing_extensions import override

from shared.sources.port import (
    Capabilities,
    Elsewhere,
    Entry,
    Folder,
    Skipped,
    SourceChangedError,
    changed_if_gone,
    check_offset,
    whole,
)
from shared.tapis.client import TapisClient
from shared.tapis.records import FileInfo


@dataclass(frozen=True)
class TapisSource(Elsewhere):
    """A folder of a system; ``owner`` is whose login is used."""

    capabilities: ClassVar[Capabilities] = Capabilities(ranges=False, parallel_at_most=8)
    """Tapis reads ranges into its own memory, and not as HTTP has them."""
    client: TapisClient
    system: str
    root: str
    """Without leading or trailing slash; empty for the whole system."""
    owner: str = ""

    @property
    def uri(self) -> str:
        """Return the folder as a ``tapis://`` URI."""
        return f"tapis://{self.system}/{quote(self.root)}".rstrip("/")

    @property
    def system_id(self) -> str:
        """Return the system's id."""
        return self.system

    @property
    def path(self) -> str:
        """Return the folder's path on the system."""
        return self.root

    @property
    @override
    def tenant(self) -> str:
        """Return the tenant that the system belongs to."""
        return self.client.tenant

    async def folder(self, path: str = "") -> Folder:
        """List one folder, over as many pages as it takes."""
        listed = await self.client.listing(self.owner, self.system, self._whole(path))
        files: list[Entry] = []
        skipped: list[Skipped] = []
        for name, info in sorted(listed.files.items()):
            place = f"{path}/{name}".lstrip("/")
            if reason := _why_not(info):
                skipped.append(Skipped(place, reason))
            else:
                files.append(_entry(place, info))
        folders = tuple(sorted(f"{path}/{name}".lstrip("/") for name in listed.folders))
        return Folder(tuple(files), folders, tuple(skipped))

    @asynccontextmanager
    async def open(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read a file, and look at the end whether it still is what was listed.

        Tapis knows no conditions and no hashes: size and time before and after are all there is.
        """
        check_offset(self, entry, offset_bytes)
        path = self._whole(entry.path)
        ends: list[bool] = []
        with changed_if_gone(entry.path):
            async with self.client.content(self.owner, self.system, path) as chunks:
                yield _noting_end(whole(chunks, entry), ends)
        if ends:  # only now: one system may allow one request at a time
            await self._check_unchanged(entry, path)

    async def _check_unchanged(self, entry: Entry, path: str) -> None:
        info = await self.client.stat(self.owner, self.system, path)
        if info is None or _entry(entry.path, info) != entry:
            raise SourceChangedError(f"{entry.path} was replaced while it was read")

    def _whole(self, path: str) -> str:
        return f"{self.root}/{path}".strip("/")


async def _noting_end(chunks: AsyncIterator[bytes], ends: list[bool]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk
    ends.append(True)


def _entry(path: str, info: FileInfo) -> Entry:
    return Entry(path, info.size_bytes, info.modified)


def _why_not(info: FileInfo) -> str:
    """Return why something that is no folder is no file either."""
    match info.kind:
        case "file":
            return ""
        case "symbolic_link":
            return "a link; Tapis does not tell what it points to"
        case _:
            return "neither a file nor a folder"
