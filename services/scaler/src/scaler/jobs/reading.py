"""The bytes of an image: from the object store, or from where a URI points; bounded and verified."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from scaler.domain.asks import RejectedError
from scaler.domain.jobs import Image
from shared.errors import InvalidInputError, NotFoundError
from shared.objects.port import ObjectStore
from shared.sources import Entry, Source, Sources
from shared.sources.port import pages
from shared.streams import Chunk
from shared.urls import shown_url

SCHEMES = ("https", "http", "s3", "davs", "dav", "file")
URI_AT_MOST_CHARACTERS = 4096
"""Of events."""


def is_on_web(uri: str) -> bool:
    """Return whether a URI is a web address; elsewhere ``#`` and ``?`` are characters of a name."""
    return uri.lower().startswith(("http://", "https://"))


def shown_source(uri: str) -> str:
    """Return the URI of an image as it may be told: without credentials and query."""
    if is_on_web(uri):
        return shown_url(uri)
    scheme, _, rest = uri.partition("://")
    return f"{scheme.lower()}://{quote(rest, safe='/:%')}"


def source_name(uri: str) -> str:
    """Return what the file of a URI is called."""
    return unquote((urlsplit(uri).path if is_on_web(uri) else uri).rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Content:
    """An image's bytes, and their hash."""

    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class ImageReader:
    """Reads images whole."""

    objects: ObjectStore
    sources: Sources
    bytes_at_most: int

    async def read(self, image: Image) -> Content:
        """Read an image.

        Raises:
            RejectedError: It is ``missing``, ``unreadable``, ``too-large``, or ``changed``: not what was
                announced.
            TransientError: It could not be read this time.
        """
        if image.size_bytes > self.bytes_at_most:
            raise self._too_large(image.size_bytes)
        try:
            data = await (self._stored(image.key) if image.key else self._elsewhere(image.uri))
        except NotFoundError as error:
            raise RejectedError("missing", str(error)) from error
        except InvalidInputError as error:
            raise RejectedError("unreadable", str(error)) from error
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        if image.sha256 is not None and digest != image.sha256:
            raise RejectedError("changed", f"its SHA-256 is {digest}, {image.sha256} was announced")
        return Content(data, digest)

    async def check(self, uri: str) -> None:
        """Raise ``InvalidInputError`` if nobody may read what a URI names; nothing is read yet."""
        scheme = uri.partition("://")[0].lower()
        if scheme not in SCHEMES:
            raise InvalidInputError(
                f"a source begins with {', '.join(f'{name}://' for name in SCHEMES)},"
                f" not with {scheme[:20]!r}",
                field="source",
            )
        if len(shown_source(uri)) > URI_AT_MOST_CHARACTERS:
            raise InvalidInputError("the source is too long to be told of, percent-encoded", field="source")
        if scheme in ("http", "https"):
            await self._check_url(uri)
        else:
            await self._folder_of(uri)

    async def _stored(self, key: str) -> bytes:
        stored = await self.objects.stat(key)
        if stored is None:
            raise NotFoundError(f"{key} is not in the object store")
        if stored.size_bytes > self.bytes_at_most:
            raise self._too_large(stored.size_bytes)
        return await self.objects.read(key, at_most=self.bytes_at_most)

    async def _elsewhere(self, uri: str) -> bytes:
        if is_on_web(uri):
            return await self._from_web(uri)
        source, name = await self._folder_of(uri)
        entry = await self._entry(source, name)
        if entry.size_bytes > self.bytes_at_most:
            raise self._too_large(entry.size_bytes)
        async with source.open(entry) as chunks:
            return await self._whole(chunks)

    async def _folder_of(self, uri: str) -> tuple[Source, str]:
        folder, _, name = uri.rpartition("/")
        if not name or folder.endswith(":/"):
            raise InvalidInputError("a source is one image, such as s3://bucket/image.jpg", field="source")
        return await self.sources.at(f"{folder}/"), unquote(name)

    async def _entry(self, source: Source, name: str) -> Entry:
        async for page in pages(source):
            for entry in page.files:
                if entry.path == name:
                    return entry
        raise NotFoundError(f"there is no {name} in {source.uri}")

    async def _check_url(self, uri: str) -> None:
        from yarl import URL  # noqa: PLC0415 - an extra, and heavy

        from shared.sources.http_answers import checked  # noqa: PLC0415

        try:
            url = URL(uri)
        except ValueError:
            raise InvalidInputError("the source is no valid URL", field="source") from None
        checked(url, allow_plain=self.sources.settings.allow_private_urls)

    async def _from_web(self, uri: str) -> bytes:
        from yarl import URL  # noqa: PLC0415 - an extra, and heavy

        from shared.sources.http import Http  # noqa: PLC0415

        await self._check_url(uri)
        web = await self.sources.web()
        http = Http(web.guarded, allow_plain=self.sources.settings.allow_private_urls)
        async with http.file(URL(uri).with_fragment(None)) as (answer, chunks):
            if (answer.content_length or 0) > self.bytes_at_most:
                raise self._too_large(answer.content_length or 0)
            return await self._whole(chunks)

    async def _whole(self, chunks: AsyncIterator[Chunk]) -> bytes:
        data = bytearray()
        async for chunk in chunks:
            data += chunk
            if len(data) > self.bytes_at_most:
                raise self._too_large(len(data))
        return bytes(data)

    def _too_large(self, size_bytes: int) -> RejectedError:
        return RejectedError("too-large", f"{size_bytes} bytes, {self.bytes_at_most} are allowed")
