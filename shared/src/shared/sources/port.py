"""Where flights come from: what an adapter must do, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.errors import InvalidInputError, TransientError


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source."""

    path: str
    """Relative to the source, ``/``-separated."""
    size_bytes: int
    token: str
    """Changes when the content does: a modification time in nanoseconds, or an ETag."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was found and cannot be used, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies directly in one folder of a source, each sorted by path."""

    files: tuple[Entry, ...] = ()
    folders: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()


class SourceForbiddenError(InvalidInputError):
    """The source is there, but we may not read it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="source")


class SourceChangedError(TransientError):
    """A file is not any more what the listing said."""


class Source(Protocol):
    """One place with flights, named by a URI.

    Methods raise ``NotFoundError`` (no such folder or file), ``SourceForbiddenError`` and
    ``TransientError`` (unreachable, throttled).
    """

    @property
    def uri(self) -> str:
        """Return the source's own URI, without credentials."""

    @property
    def system_id(self) -> str:
        """Return the system that it lies on, such as a bucket; with the path it names a flight for ever."""

    @property
    def path(self) -> str:
        """Return where on that system it lies."""

    async def folder(self, path: str = "") -> Folder:
        """List one folder; ``path`` is relative to the source."""

    def open(self, entry: Entry) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read a file in chunks.

        Raises:
            SourceChangedError: It was replaced, resized or removed since it was listed; told at the end too.
        """

    def local_path(self, entry: Entry) -> Path | None:
        """Return the file itself where it lies on this machine, else None."""
