"""``https://…/flight.json``: a list of files and where each of them is.

::

    {"files": [{"path": "code/images/a.jpg", "size": 123, "sha256": "…", "url": "https://…"}]}

``sha256`` and ``url`` may be left out: without the latter a file lies beside the list, at its path. ``etag``
or ``modified`` tell that a file was replaced where no hash does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from shared.errors import InvalidInputError, NotFoundError
from shared.sources.http import Document
from shared.sources.http_answers import checked, is_strong, shown
from shared.sources.names import why_not_confined
from shared.sources.port import (
    Capabilities,
    Entry,
    Folder,
    Skipped,
    SourceChangedError,
    check_offset,
    whole,
)
from shared.sources.tree import folder_of
from shared.sources.web_place import OnTheWeb
from shared.streams import Chunk

FILES_AT_MOST = 100_000


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    path: str
    size: Annotated[int, Field(ge=0, strict=True)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    url: str | None = None
    modified: str = ""
    etag: str = ""

    @property
    def entry(self) -> Entry:
        sha256 = self.sha256.lower() if self.sha256 else None
        return Entry(self.path, self.size, sha256 or self.etag or self.modified, sha256)


class _Manifest(BaseModel):
    files: Annotated[list[_File], Field(max_length=FILES_AT_MOST)]


@dataclass(frozen=True, slots=True)
class Listing:
    """A manifest that was read."""

    files: dict[str, tuple[Entry, URL, str]]
    """By path: the file, where it is, and its ETag."""
    skipped: tuple[Skipped, ...]


@dataclass
class ManifestSource(OnTheWeb):
    """The files of a manifest, which is read anew for every listing."""

    capabilities: ClassVar[Capabilities] = Capabilities(ranges=True, parallel_at_most=8)
    _listing: Listing | None = None

    async def folder(self, path: str = "") -> Folder:
        """List one of the folders that the paths make."""
        listing = await self._read()
        entries = [entry for entry, _, _ in listing.files.values()]
        return folder_of(path, entries, listing.skipped, where=shown(self.place.url))

    @asynccontextmanager
    async def open(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Read a file from where the manifest says it is."""
        check_offset(self, entry, offset_bytes)
        listing = self._listing or await self._read()
        known, url, etag = listing.files.get(entry.path, (None, self.place.url, ""))
        if known != entry:
            raise SourceChangedError(f"{entry.path} is not in the manifest any more as it was")
        try:
            token = etag if is_strong(etag) else ""
            async with self.http.file(url, offset_bytes, token, size_bytes=entry.size_bytes) as (_, chunks):
                yield whole(chunks, entry, offset_bytes)
        except NotFoundError as error:
            raise SourceChangedError(f"{entry.path} is in the manifest, and not there") from error

    async def _read(self) -> Listing:
        document = await self.http.document("GET", self.place.url, 200)
        self._listing = parsed(document, allow_plain=self.http.allow_plain)
        return self._listing


def parsed(document: Document, *, allow_plain: bool) -> Listing:
    """Return what a manifest lists.

    Raises:
        InvalidInputError: It is none; one file that cannot be used spoils no other.
    """
    where = shown(document.url)
    try:
        manifest = _Manifest.model_validate_json(document.body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidInputError(f"{where} is no manifest: {field} {first['msg']}", field="source") from None
    files: dict[str, tuple[Entry, URL, str]] = {}
    skipped: list[Skipped] = []
    for file in manifest.files:
        try:
            url = _url(document.url, file, allow_plain=allow_plain)
            _check(file, files)
        except InvalidInputError as error:
            skipped.append(Skipped(file.path, str(error)))
        else:
            files[file.path] = (file.entry, url, file.etag)
    return Listing(files, tuple(skipped))


def _check(file: _File, known: dict[str, tuple[Entry, URL, str]]) -> None:
    if why := why_not_confined(file.path) or ("" if file.path else "is no name"):
        raise InvalidInputError(f"its path {why}")
    if file.path in known:
        raise InvalidInputError("the manifest lists it twice")


def _url(manifest: URL, file: _File, *, allow_plain: bool) -> URL:
    try:
        target = URL(file.url) if file.url else URL(quote(file.path), encoded=True)
        return checked(manifest.join(target), allow_plain=allow_plain)
    except ValueError:
        raise InvalidInputError("its url is none") from None
