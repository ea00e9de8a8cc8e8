"""The object store: what an adapter must do, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from shared.errors import ConflictError

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
        content: AsyncIterator[bytes] | bytes | Path,
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

    async def copy(self, source: str, target: str) -> StoredObject:
        """Copy within the store, metadata included.

        Raises:
            NotFoundError: There is no ``source``.
        """

    async def delete(self, key: str) -> None:
        """Delete the object; there being none is no error."""

    async def presign(self, key: str, *, expires: timedelta) -> str:
        """Return a URL that lets anybody read the object until it expires."""

    def uri(self, key: str) -> str:
        """Return the object's URI, which events carry."""

    def key(self, uri: str) -> str:
        """Return the key of a URI of this store.

        Raises:
            InvalidInputError: The URI lies outside this store.
        """

    async def ping(self) -> None:
        """Return if the store answers and can be written to."""
