"""``file://``: a folder of this machine, or a network share mounted on it."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.objects.port import ObjectStore, StoredObject
from shared.sources.port import (
    Capabilities,
    Entry,
    Folder,
    Skipped,
    SourceChangedError,
    SourceForbiddenError,
    check_offset,
)
from shared.threads import entered

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class FolderSource:
    """A folder; nothing outside it is ever read, however its links point."""

    capabilities: ClassVar[Capabilities] = Capabilities(ranges=True, parallel_at_most=8)
    root: Path

    def __post_init__(self) -> None:
        """Pin the root, so that later links in its path cannot move it."""
        object.__setattr__(self, "root", self.root.resolve())

    @property
    def uri(self) -> str:
        """Return the folder as a ``file://`` URI."""
        return self.root.as_uri()

    @property
    def system_id(self) -> str:
        """Return nothing: whoever shares a bus sees the folder at the same path, and hosts change names."""
        return ""

    @property
    def path(self) -> str:
        """Return the folder's absolute path."""
        return str(self.root)

    @property
    def tenant(self) -> str:
        """Return nothing: there is one file system."""
        return ""

    async def folder(self, path: str = "") -> Folder:
        """List one folder, without entering links that lead out of the source."""
        return await asyncio.to_thread(self._scan, path)

    @asynccontextmanager
    async def open(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read a file in chunks, and check at the end that it stayed the same."""
        check_offset(self, entry, offset_bytes)
        with ExitStack() as stack:
            file = await entered(stack, lambda: self._open(entry))
            os.lseek(file, offset_bytes, os.SEEK_SET)
            yield _chunks(file, entry)
            _check_unchanged(file, entry)

    def local_path(self, entry: Entry) -> Path | None:
        """Return the file's path."""
        return self._confined(entry.path)

    async def server_copy(self, entry: Entry, objects: ObjectStore, key: str) -> StoredObject | None:
        """Return None: a disk copies nothing by itself."""
        del entry, objects, key
        return None

    def _scan(self, path: str) -> Folder:
        folder = self._confined(path)
        files: list[Entry] = []
        folders: list[str] = []
        skipped: list[Skipped] = []
        try:
            with os.scandir(folder) as found:
                for item in sorted(found, key=lambda item: item.name):
                    self._sort_in(item, f"{path}/{item.name}".lstrip("/"), files, folders, skipped)
        except OSError as error:
            raise _translated(error, folder) from error
        return Folder(tuple(files), tuple(folders), tuple(skipped))

    def _sort_in(
        self,
        item: os.DirEntry[str],
        path: str,
        files: list[Entry],
        folders: list[str],
        skipped: list[Skipped],
    ) -> None:
        try:
            item.name.encode()
            found = item.stat()
            if item.is_symlink() and not Path(item.path).resolve().is_relative_to(self.root):
                skipped.append(Skipped(path, "link that leads out of the folder"))
            elif stat.S_ISDIR(found.st_mode):
                folders.append(path)
            elif not stat.S_ISREG(found.st_mode):
                skipped.append(Skipped(path, "neither a file nor a folder"))
            elif not os.access(item.path, os.R_OK):
                skipped.append(Skipped(path, "may not be read"))
            else:
                files.append(Entry(path, found.st_size, str(found.st_mtime_ns)))
        except FileNotFoundError:
            skipped.append(Skipped(path, "link to nowhere"))
        except UnicodeEncodeError:
            skipped.append(Skipped(path.encode(errors="replace").decode(), "its name is not UTF-8"))
        except (OSError, RuntimeError) as error:
            skipped.append(Skipped(path, getattr(error, "strerror", None) or str(error)))

    def _confined(self, path: str) -> Path:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise InvalidInputError(f"{path!r} lies outside {self.root}", field="path", value=path)
        whole = self.root / path
        if not whole.resolve().is_relative_to(self.root):
            raise SourceForbiddenError(f"{whole} leads out of {self.root}")
        return whole

    @contextmanager
    def _open(self, entry: Entry) -> Iterator[int]:
        path = self._confined(entry.path)
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            raise SourceChangedError(f"{path} is gone since it was listed") from None
        except OSError as error:
            raise _translated(error, path) from error
        try:
            _check_unchanged(file, entry)
            yield file
        finally:
            os.close(file)


async def _chunks(file: int, entry: Entry) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(_read, file, entry):
        yield chunk


def _read(file: int, entry: Entry) -> bytes:
    try:
        return os.read(file, CHUNK_BYTES)
    except OSError as error:
        raise TransientError(f"{entry.path}: {error.strerror}") from error


def _check_unchanged(file: int, entry: Entry) -> None:
    now = os.fstat(file)
    if (now.st_size, str(now.st_mtime_ns)) != (entry.size_bytes, entry.token):
        raise SourceChangedError(
            f"{entry.path} changed while it was read: {now.st_size} bytes, {entry.size_bytes} were listed"
        )


def _translated(error: OSError, path: Path) -> Exception:
    match error:
        case FileNotFoundError():
            return NotFoundError(f"there is no {path}")
        case NotADirectoryError():
            return InvalidInputError(f"{path} is no folder", field="source", value=str(path))
        case PermissionError():
            return SourceForbiddenError(f"{path} may not be read by this user")
        case OSError(errno=errno.ENAMETOOLONG | errno.ELOOP):
            return InvalidInputError(f"{path}: {error.strerror}", field="source", value=str(path))
        case _:
            return TransientError(f"{path}: {error.strerror}")
