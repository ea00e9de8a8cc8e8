"""Where flights come from: what an adapter must do, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.objects.port import ObjectStore, StoredObject
from shared.streams import Chunk

C = TypeVar("C", bytes, Chunk)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source."""

    path: str
    """Relative to the source, ``/``-separated."""
    size_bytes: int
    token: str
    """Changes when the content does: a modification time, or an ETag."""
    sha256: str | None = None
    """What the source claims the content to be; whoever reads it checks."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a source is good at."""

    ranges: bool
    """Whether reading can begin in the middle of a file."""
    parallel_at_most: int
    """How many files it is wise to read at a time."""


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


class LoginNeededError(PermanentError):
    """The source can be read once its user has logged in again; the message says where."""


class Source(Protocol):
    """One place with flights, named by a URI.

    Methods raise ``NotFoundError`` (no such folder or file), ``SourceForbiddenError``, ``LoginNeededError``
    and ``TransientError`` (unreachable, throttled).
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

    @property
    def tenant(self) -> str:
        """Return whose systems are meant where systems of one name exist for several; else nothing."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what the source is good at."""

    async def folder(self, path: str = "") -> Folder:
        """List one folder; ``path`` is relative to the source."""

    def open(self, entry: Entry, offset_bytes: int = 0) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """Read a file in chunks.

        What came is checked against the listing when the content has been read to its end.

        Args:
            entry: The file, as it was listed.
            offset_bytes: Where to begin, where the source is capable of ranges.

        Raises:
            SourceChangedError: It was replaced, resized or removed since it was listed; told at the end too.
        """

    def local_path(self, entry: Entry) -> Path | None:
        """Return the file itself where it lies on this machine, else None."""

    async def server_copy(self, entry: Entry, objects: ObjectStore, key: str) -> StoredObject | None:
        """Let the server that has both copy a file to ``key``, without its bytes passing here.

        Returns:
            What was stored, its hash unknown; None where that cannot be done.

        Raises:
            SourceChangedError: It was replaced or removed since it was listed.
        """


class Elsewhere:
    """What is true of most sources: their files lie on another machine, which copies nothing for us."""

    @property
    def tenant(self) -> str:
        """Return nothing: there is one system of each name."""
        return ""

    def local_path(self, entry: Entry) -> Path | None:
        """Return None: files lie elsewhere."""
        del entry
        return None

    async def server_copy(self, entry: Entry, objects: ObjectStore, key: str) -> StoredObject | None:
        """Return None: bytes have to pass here."""
        del entry, objects, key
        return None


@runtime_checkable
class Paged(Protocol):
    """A source that can list a folder piece by piece."""

    def pages(self, path: str = "") -> AsyncIterator[Folder]:
        """List one folder in pieces of a thousand or so, sorted as a whole."""


async def pages(source: Source, path: str = "") -> AsyncIterator[Folder]:
    """List one folder in pieces where the source can, so that memory does not grow with it."""
    if isinstance(source, Paged):
        async for page in source.pages(path):
            yield page
    else:
        yield await source.folder(path)


def check_offset(source: Source, entry: Entry, offset_bytes: int) -> None:
    """Raise ``InvalidInputError`` where reading cannot begin at ``offset_bytes``."""
    if not 0 <= offset_bytes <= entry.size_bytes or (offset_bytes and not source.capabilities.ranges):
        raise InvalidInputError(
            f"{entry.path} cannot be read from byte {offset_bytes} on",
            field="offset_bytes",
            value=offset_bytes,
        )


@contextmanager
def changed_if_gone(where: str) -> Iterator[None]:
    """Read a listed file: there being none any more is a change of it."""
    try:
        yield
    except NotFoundError as error:
        raise SourceChangedError(f"{where} is gone since it was listed") from error


async def whole(chunks: AsyncIterator[C], entry: Entry, offset_bytes: int = 0) -> AsyncIterator[C]:
    """Yield ``chunks``, and no less and no more than what was listed.

    Raises:
        SourceChangedError: More or fewer bytes came; where a body may end with its connection, nothing else
            tells that it was cut.
    """
    expected, received = entry.size_bytes - offset_bytes, 0
    async for chunk in chunks:
        received += len(chunk)
        if received > expected:
            break
        yield chunk
    if received != expected:
        came = f"more than {expected}" if received > expected else str(received)
        raise SourceChangedError(f"{entry.path}: {came} bytes came, {expected} were listed")
