"""The object store in a folder of this machine: durable, atomic, verified."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path

from shared.errors import InvalidInputError, NotFoundError
from shared.objects import names
from shared.objects.disk import (
    About,
    Incoming,
    errors_translated,
    file_sha256,
    make_folders,
    opened,
    remove_empty_folders,
    sync_folder,
    write_about,
)
from shared.objects.file_parts import FileParts
from shared.objects.keys import (
    check_key,
    check_metadata,
    check_range,
    check_small,
    key_to_uri,
    uri_to_key,
)
from shared.objects.port import CHUNK_BYTES, NoUrlError, ObjectExistsError, Parts, Shown, StoredObject
from shared.objects.receive import receive
from shared.objects.signing import Signer
from shared.objects.walk import described, walk
from shared.streams import Chunk
from shared.threads import entered, finished

LIST_AT_ONCE = 256
LEFTOVER_AGE = timedelta(days=1)


class FileObjects:
    """The objects below ``root``; any number of processes may share it."""

    def __init__(self, root: Path, signer: Signer | None = None) -> None:
        """Make ``root`` if it is missing, and sweep what puts that crashed a day ago left behind.

        Args:
            root: An absolute folder of ours alone, on one file system.
            signer: Makes the URLs of ``presign``; without it there are none.
        """
        with errors_translated(root):
            root.mkdir(parents=True, exist_ok=True)
            self._root = root.resolve()
            self._temporary = self._root / names.TEMPORARY
            self._temporary.mkdir(exist_ok=True)
            _sweep(self._temporary)
        self._signer = signer
        self._base = self._root.as_uri()

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
        """Store ``content``; it is hashed as it is written, and on disk when this returns.

        Raises:
            ContentError: Size or hash differ from what was promised; nothing was stored.
            ObjectExistsError: ``create_only``, and another content has this name.
        """
        path, described_by = self._path(key), check_metadata(metadata or {})

        def publish(incoming: Incoming) -> StoredObject:
            incoming.check(size_bytes, sha256)
            about = About(incoming.sha256, content_type, described_by)
            return (self._create if create_only else self._replace)(key, path, incoming, about)

        with errors_translated(self._root):
            if isinstance(content, bytes):
                return await finished(lambda: self._put_small(content, publish))
            with Incoming(self._temporary) as incoming:
                await receive(incoming, content, size_bytes)
                return await finished(lambda: publish(incoming))

    @asynccontextmanager
    async def open(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read the object's bytes ``start <= i < end``, in chunks of 1 MiB.

        Raises:
            NotFoundError: There is no such object.
        """
        path = self._path(key)
        check_range(start, end)
        with ExitStack() as stack:
            with errors_translated(path), _found(key):
                file = await entered(stack, lambda: _reading(self._confined(path, key)))
            yield _chunks(file, start, end, path)

    async def read(self, key: str, *, at_most: int = 64 << 20) -> bytes:
        """Return a small object whole.

        Raises:
            NotFoundError: There is no such object.
            InvalidInputError: It is larger than ``at_most`` bytes.
        """
        path = self._path(key)
        with errors_translated(path), _found(key):
            return await asyncio.to_thread(lambda: _read(key, self._confined(path, key), at_most))

    async def download(self, key: str, path: Path) -> StoredObject:
        """Write the object to a local file, atomically, and verify its hash where one is kept.

        Raises:
            NotFoundError: There is no such object.
            ContentError: What was read does not have the kept hash.
        """
        source = self._path(key)
        with errors_translated(path):
            return await finished(lambda: _download(key, self._confined(source, key), path))

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is known of the object, or None where there is none."""
        path = self._path(key)
        with errors_translated(path):
            try:
                return await asyncio.to_thread(lambda: _stat(key, self._confined(path, key)))
            except (FileNotFoundError, NotADirectoryError):
                return None

    async def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[StoredObject]:
        """Iterate over objects whose key begins with ``prefix``, by key, behind the key ``after``.

        One folder's names are in memory at a time; hash, type and metadata are left to ``stat``.
        """
        head = prefix.rpartition("/")[0]
        folder = names.folder_path(self._root, head)
        found = self._walk(folder, f"{head}/" if head else "", prefix, after or "")
        with errors_translated(self._root):
            is_over = False
            while not is_over:
                batch = await asyncio.to_thread(lambda: [*islice(found, LIST_AT_ONCE)])
                is_over = len(batch) < LIST_AT_ONCE
                for item in batch:
                    yield item

    async def copy(self, source: str, target: str, *, sha256: str | None = None) -> StoredObject:
        """Copy within the store, metadata included.

        Raises:
            NotFoundError: There is no ``source``.
            ContentError: ``source`` does not have the hash that was kept, or the one given.
        """
        path, target_path = self._path(source), self._path(target)
        with errors_translated(self._root):
            return await finished(lambda: self._copy(source, path, target, target_path, sha256))

    async def delete(self, key: str) -> None:
        """Delete the object; there being none is no error."""
        path = self._path(key)
        with errors_translated(path):
            await finished(lambda: self._delete(self._confined(path, key)))

    async def presign(self, key: str, *, expires: timedelta, shown: Shown | None = None) -> str:  # noqa: ARG002
        """Return a URL that lets anybody read the object until it expires, answered as its server likes.

        Raises:
            NoUrlError: No service is known that serves this folder.
        """
        if self._signer is None:
            raise NoUrlError("objects in a folder have no URL: set the base URL and the signing secret")
        return self._signer.url(check_key(key), expires)

    @property
    def parts(self) -> Parts:
        """Return the way in for objects that arrive in parts."""
        return FileParts(self._temporary, self._publish, self.stat)

    def uri(self, key: str) -> str:
        """Return the object's URI, which events carry."""
        return key_to_uri(self._base, key)

    def key(self, uri: str) -> str:
        """Return the key of a URI of this store.

        Raises:
            InvalidInputError: The URI lies outside this store.
        """
        return uri_to_key(self._base, uri)

    async def ping(self) -> None:
        """Return if the folder can be written to."""
        with errors_translated(self._root):
            await asyncio.to_thread(_probe, self._temporary)

    def _path(self, key: str) -> Path:
        """Return where the object is, which is ``_confined`` where a thread may wait for the disk."""
        return names.key_to_path(self._root, check_key(key))

    def _confined(self, path: Path, key: str) -> Path:
        """Return ``path``, in which nothing below the root is a symbolic link."""
        here = str(self._root)
        for name in path.relative_to(self._root).parts:
            here = f"{here}/{name}"
            try:
                mode = os.lstat(here).st_mode
            except (FileNotFoundError, NotADirectoryError):
                break
            if stat.S_ISLNK(mode):
                raise InvalidInputError(
                    f"{key}: a symbolic link leads out of the store", field="key", value=key
                )
        return path

    def _walk(self, folder: Path, before: str, prefix: str, after: str) -> Iterator[StoredObject]:
        yield from walk(self._confined(folder, prefix), before, prefix, after)

    def _put_small(self, content: bytes, publish: Callable[[Incoming], StoredObject]) -> StoredObject:
        with Incoming(self._temporary) as incoming:
            incoming.write([content])
            if incoming.flushing:
                incoming.settle()
            return publish(incoming)

    def _replace(self, key: str, path: Path, incoming: Incoming, about: About) -> StoredObject:
        with self._announced(self._confined(path, key), incoming, about) as written:
            old = _stat_or_none(path)
            incoming.path.replace(path)
        sync_folder(path.parent)
        if old is not None:
            names.sidecar_path(path, old).unlink(missing_ok=True)
        return described(key, written, about)

    def _publish(self, key: str, incoming: Incoming, about: About) -> StoredObject:
        return self._replace(key, self._path(key), incoming, about)

    def _create(self, key: str, path: Path, incoming: Incoming, about: About) -> StoredObject:
        try:
            with self._announced(self._confined(path, key), incoming, about) as written:
                os.link(incoming.path, path)
        except FileExistsError:
            return _same_or_refused(key, path, about)
        sync_folder(path.parent)
        return described(key, written, about)

    @contextmanager
    def _announced(self, path: Path, incoming: Incoming, about: About) -> Iterator[os.stat_result]:
        written = incoming.sync()
        sidecar = names.sidecar_path(path, written)
        self._write_sidecar(sidecar, about)
        try:
            yield written
        except BaseException:
            sidecar.unlink(missing_ok=True)
            raise

    def _write_sidecar(self, sidecar: Path, about: About) -> None:
        while True:
            try:
                make_folders(sidecar.parent, self._root)
                write_about(sidecar, about)
            except FileNotFoundError:
                continue  # a delete found the folder empty and removed it
            except OSError:
                sidecar.unlink(missing_ok=True)
                raise
            return

    def _copy(
        self, source: str, path: Path, target: str, target_path: Path, sha256: str | None
    ) -> StoredObject:
        with Incoming(self._temporary) as incoming:
            with _found(source), opened(self._confined(path, source)) as content:
                incoming.copy(content.file)
            incoming.check(content.stat.st_size, content.about.sha256)
            incoming.check(None, sha256)
            about = About(incoming.sha256, content.about.content_type, content.about.metadata)
            return self._replace(target, target_path, incoming, about)

    def _delete(self, path: Path) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            found = path.lstat()
            path.unlink()
            sync_folder(path.parent)
            names.sidecar_path(path, found).unlink(missing_ok=True)
            remove_empty_folders(path.parent, self._root)


@contextmanager
def _found(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"there is no object {key}") from error


@contextmanager
def _reading(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


async def _chunks(file: int, start: int, end: int | None, path: Path) -> AsyncIterator[bytes]:
    while (wanted := CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - start)) > 0:
        with errors_translated(path):
            chunk = await finished(partial(os.pread, file, wanted, start))
        if not chunk:
            return
        start += len(chunk)
        yield chunk


def _read(key: str, path: Path, at_most: int) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:  # noqa: PTH123 - of a descriptor
        check_small(key, os.fstat(file.fileno()).st_size, at_most)
        return file.read()


def _download(key: str, source: Path, target: Path) -> StoredObject:
    with Incoming(target.parent) as incoming:
        with _found(key), opened(source) as content:
            incoming.copy(content.file)
        incoming.check(content.stat.st_size, content.about.sha256)
        incoming.move(target)
    return described(key, content.stat, content.about)


def _stat(key: str, path: Path) -> StoredObject:
    with opened(path) as content:
        return described(key, content.stat, content.about)


def _stat_or_none(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _same_or_refused(key: str, path: Path, about: About) -> StoredObject:
    with opened(path) as content:
        there = content.about.sha256 or file_sha256(content.file)
        if there != about.sha256:
            raise ObjectExistsError(f"{key} exists with another content")
        return described(key, content.stat, replace(content.about, sha256=there))


def _probe(folder: Path) -> None:
    with Incoming(folder) as incoming:
        incoming.write([b"ping"])


def _sweep(folder: Path) -> None:
    oldest = time.time() - LEFTOVER_AGE.total_seconds()
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process sweeps too
            if path.lstat().st_mtime < oldest:
                path.unlink()
