"""Blocking file work of the file store: durable writes, fast verified copies, what is known of a content."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from shared.errors import DamagedError, PermanentError, StorageFullError, TransientError
from shared.objects.names import sidecar_path
from shared.objects.port import ContentError
from shared.streams import Chunk

BLOCK_BYTES = 256 << 10
"""Hashed and written together while it is in the processor's cache: twice as fast as 8 MiB."""
FLUSH_BYTES = 32 << 20
_FICLONE = 0x40049409  # ioctl_ficlone(2); unknown to macOS, which refuses it


@dataclass(frozen=True, slots=True)
class About:
    """What is kept beside a content."""

    sha256: str | None = None
    content_type: str = "application/octet-stream"
    metadata: dict[str, str] = field(default_factory=dict)


class Incoming:
    """A file being written under a temporary name; gone after the block unless it was moved away."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / uuid4().hex
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._flusher = ThreadPoolExecutor(1, "flush")
        self._flushing: Future[None] | None = None
        self._flushed_bytes = 0
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flusher.shutdown()
        os.close(self._file)
        self.path.unlink(missing_ok=True)

    @property
    def flushing(self) -> bool:
        """Return whether a part is being flushed."""
        return self._flushing is not None

    @property
    def sha256(self) -> str:
        """Return the hex digest of what was written."""
        return self._hash.hexdigest()

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Append ``chunks``."""
        for chunk in chunks:
            view = memoryview(chunk)
            for start in range(0, len(view), BLOCK_BYTES):
                self._append(view[start : start + BLOCK_BYTES])

    def copy(self, source: int) -> None:
        """Write the whole open file ``source``; where the file system can, its blocks are shared instead."""
        cloned = _cloned(source, self._file)
        block = memoryview(bytearray(BLOCK_BYTES))
        while count := os.preadv(self._file if cloned else source, [block], self.size_bytes):
            if cloned:
                self._hash.update(block[:count])
                self.size_bytes += count
            else:
                self._append(block[:count])

    def _append(self, block: memoryview) -> None:
        self._hash.update(block)
        while block:
            written = os.write(self._file, block)
            self.size_bytes += written
            block = block[written:]
        self._flush_early()

    def check(self, size_bytes: int | None, sha256: str | None) -> None:
        """Raise ``ContentError`` unless what was written is what was promised."""
        if size_bytes is not None and self.size_bytes != size_bytes:
            raise ContentError(f"{self.size_bytes} bytes arrived, {size_bytes} were promised")
        if sha256 is not None and self.sha256 != sha256.lower():
            raise ContentError(f"the SHA-256 is {self.sha256}, not {sha256} as promised")

    def sync(self) -> os.stat_result:
        """Put what was written on disk, with a time that no other content has."""
        if self._flushing:
            self._flushing.result()  # an error of the disk is told to one call only
        now_ns = time.time_ns()  # the kernel's own clock ticks every few milliseconds only
        os.utime(self._file, ns=(now_ns, now_ns))
        os.fsync(self._file)
        return os.fstat(self._file)

    def settle(self) -> None:
        """Wait for what is being flushed, so that closing the file does not."""
        if self._flushing:
            wait([self._flushing])

    def move(self, target: Path) -> None:
        """Make what was written the content of ``target``, a file beside it, durably."""
        self.sync()
        self.path.replace(target)
        sync_folder(target.parent)

    def _flush_early(self) -> None:
        """Keep the disk busy while more is hashed and written: the last sync then has little left to do."""
        if self.size_bytes - self._flushed_bytes < FLUSH_BYTES or not (
            self._flushing is None or self._flushing.done()
        ):
            return
        if self._flushing:
            self._flushing.result()
        self._flushed_bytes = self.size_bytes
        self._flushing = self._flusher.submit(os.fdatasync, self._file)


def _cloned(source: int, target: int) -> bool:
    """Return whether ``target`` shares the blocks of ``source`` now, as Btrfs and XFS let it."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def file_sha256(file: int) -> str:
    """Return the hex digest of the open ``file``."""
    with open(file, "rb", closefd=False) as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Put the names in ``folder`` on disk, unless a delete removed it meanwhile."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path, root: Path) -> None:
    """Make ``folder`` and what is missing between it and ``root``, durably."""
    missing = [folder, *folder.parents][: len(folder.relative_to(root).parts)]
    for path in reversed(missing):
        try:
            path.mkdir()
        except FileExistsError:
            continue
        sync_folder(path.parent)


def remove_empty_folders(folder: Path, root: Path) -> None:
    """Remove ``folder`` and those above it, below ``root``, that hold nothing."""
    with suppress(OSError):  # the first that is not empty ends it
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def write_about(path: Path, about: About) -> None:
    """Write a sidecar, durably but for its name."""
    text = json.dumps(
        {"sha256": about.sha256, "content_type": about.content_type, "metadata": about.metadata}
    )
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_about(path: Path) -> About | None:
    """Return what a sidecar says; None: there is none.

    Raises:
        DamagedError: It cannot be read.
    """
    try:
        return About(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DamagedError(f"{path} is damaged ({error}); it was left as it is") from error


@dataclass(frozen=True, slots=True)
class Content:
    """An open file of the store and what is known of its content."""

    file: int
    stat: os.stat_result
    about: About


@contextmanager
def opened(path: Path) -> Iterator[Content]:
    """Open the content of ``path`` and what is known of this very content.

    Raises:
        FileNotFoundError: There is none.
    """
    with ExitStack() as stack:
        yield _with_about(path, lambda file: stack.callback(os.close, file))


def _with_about(path: Path, closing: Callable[[int], object]) -> Content:
    seen = None
    while True:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        closing(file)
        stat = os.fstat(file)
        about = read_about(sidecar_path(path, stat))
        if about is not None:
            return Content(file, stat, about)
        if seen == (stat.st_ino, stat.st_mtime_ns):  # not replaced in between: it never had a sidecar
            return Content(file, stat, About())
        seen = (stat.st_ino, stat.st_mtime_ns)


@contextmanager
def errors_translated(where: Path) -> Iterator[None]:
    """Turn what the operating system says into what a caller can act on."""
    try:
        yield
    except OSError as error:
        raise _translated(error, where) from error


def _translated(error: OSError, where: Path) -> Exception:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return StorageFullError(f"no space left below {where}: {error}; what was stored before is safe")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return PermanentError(f"{where} cannot be written or read ({error}); check its owner and mode")
        case _:
            return TransientError(f"{where}: {error}")
