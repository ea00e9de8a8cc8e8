"""The object store: what an adapter must do, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from shared.errors import ConflictError, PermanentError
from shared.streams import Chunk

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What is known of one object without reading it."""

    key: str
    size_bytes: int
    sha256: str | None
    """Hex digest of the content; None for an object that another system wrote."""
    modified_at: datetime
    content_type: str = "application/octet-stream"
    etag: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """How a presigned URL is answered."""

    content_disposition: str | None = None
    """None: without one."""
    content_type: str | None = None
    """None: that of the object."""
    is_head: bool = False
    """The URL is for HEAD: a signature counts for one method only."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stored part of an object that is not whole yet."""

    number: int
    """From 1."""
    size_bytes: int
    sha256: str
    etag: str = ""


class Parts(Protocol):
    """Objects that arrive in parts, over as many processes as it takes; readers see none that is not whole.

    Whoever begins an upload remembers its name and its parts; one that is forgotten is swept by the store's
    own rules: a day's silence in a folder, the bucket's lifecycle on S3.
    """

    async def begin(self, key: str) -> str:
        """Begin an object and return the name of its upload."""

    async def send(self, key: str, upload: str, number: int, start: int, content: bytes) -> Part:
        """Store a part, which begins at byte ``start`` of the object; it is on disk when this returns.

        Raises:
            NotFoundError: There is no such upload any more.
        """

    async def finish(
        self,
        key: str,
        upload: str,
        parts: Sequence[Part],
        *,
        sha256: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> StoredObject:
        """Make the object of its parts; one that was finished before is returned again.

        Args:
            key: Its name.
            upload: The name of the upload.
            parts: All of them, in order.
            sha256: Hash of the whole, where somebody saw it pass; without it, the object is read once more.
            content_type: Media type, kept.

        Raises:
            NotFoundError: There is no such upload any more, nor the object.
            ContentError: What is stored is not what was sent.
        """

    async def abort(self, key: str, upload: str) -> None:
        """Forget an upload and its parts; there being none is no error."""


class NoUrlError(PermanentError):
    """The objects of this store have no URL."""


class ObjectExistsError(ConflictError):
    """There is an object of this name, with other content."""


class ContentError(ConflictError):
    """What arrived is not what was promised: another size or another hash; nothing was stored."""


class ObjectStore(Protocol):
    """Where bytes live, by key: ``/``-separated names without ``.``, ``..`` or a leading slash.

    A put is atomic: readers see the whole object or none, and it is on disk when the call returns. Every
    method may raise ``TransientError`` and ``StorageFullError``; a bad key is an ``InvalidInputError``.
    """

    async def put(
        self,
        key: str,
        content: AsyncIterator[Chunk] | bytes | Path,
        *,
        create_only: bool = False,
        size_bytes: int | None = None,
        sha256: str | None = None,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
    ) -> StoredObject:
        """Store ``content``, in memory that does not grow with it.

        Args:
            key: Its name.
            content: The bytes, a stream of them, or a file that holds them.
            create_only: Leave an object that is there; it counts as stored if its content is the same.
            size_bytes: What must arrive; checked.
            sha256: Hex digest of what must arrive; checked.
            content_type: Media type, kept.
            metadata: Small strings kept beside the content.

        Raises:
            ContentError: Size or hash differ from what was promised; nothing was stored.
            ObjectExistsError: ``create_only``, and another content has this name.
        """

    def open(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read the object's bytes ``start <= i < end``, in chunks of about 1 MiB.

        Raises:
            NotFoundError: There is no such object.
        """

    async def read(self, key: str, *, at_most: int = 64 << 20) -> bytes:
        """Return a small object whole.

        Raises:
            NotFoundError: There is no such object.
            InvalidInputError: It is larger than ``at_most`` bytes.
        """

    async def download(self, key: str, path: Path) -> StoredObject:
        """Write the object to a local file, atomically, and verify its hash where one is kept.

        Raises:
            NotFoundError: There is no such object.
            ContentError: What was read does not have the kept hash.
        """

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is known of the object, or None where there is none."""

    def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[StoredObject]:
        """Iterate over objects whose key begins with ``prefix``, by key, behind the key ``after``.

        ``sha256`` and ``metadata`` may be left empty: ``stat`` has them.
        """

    async def copy(self, source: str, target: str, *, sha256: str | None = None) -> StoredObject:
        """Copy within the store, metadata included.

        Args:
            source: The key of what is there.
            target: The key of the copy; ``source`` itself to have a hash kept with what is there.
            sha256: Hex digest of the content, where somebody saw it pass; kept with the copy.

        Raises:
            NotFoundError: There is no ``source``.
            ContentError: The content is known to have another hash; nothing was stored.
        """

    async def delete(self, key: str) -> None:
        """Delete the object; there being none is no error."""

    async def presign(self, key: str, *, expires: timedelta, shown: Shown | None = None) -> str:
        """Return a URL that lets anybody read the object until it expires.

        Args:
            key: Its name.
            expires: How long from now.
            shown: How the answer to a request of the URL is to look, as far as the store has a say in it.

        Raises:
            NoUrlError: Nobody serves the objects of this store.
        """

    @property
    def parts(self) -> Parts:
        """Return the way in for objects that arrive in parts."""

    def uri(self, key: str) -> str:
        """Return the object's URI, which events carry."""

    def key(self, uri: str) -> str:
        """Return the key of a URI of this store.

        Raises:
            InvalidInputError: The URI lies outside this store.
        """

    async def ping(self) -> None:
        """Return if the store answers and can be written to."""
