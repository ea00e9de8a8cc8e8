"""The user's files: a folder on the disk, and what the index knows about it."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR

from flightline.nextcloud_simulator.answers import RefusedError
from flightline.nextcloud_simulator.index import Index, Node, new_etag

_NS_PER_S = 1_000_000_000


class Tree:
    """A folder shown as the home of a user.

    Uploads grow elsewhere and come into the folder whole. Files that somebody puts into the folder by hand
    are found when they are asked for.

    Attributes:
        keeps_etag: A file that is written again within a second, with as many bytes, keeps its ETag: measured
            on a real one.
        quota_bytes: All that the files may take; none: any amount.
    """

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.trash = state / "trash"
        self.uploads = state / "uploads"
        for place in (folder, self.trash, self.uploads):
            place.mkdir(parents=True, exist_ok=True)
        self.index = Index(state / "index.sqlite")
        self.lock = threading.RLock()
        self.keeps_etag = True
        self.quota_bytes: int | None = None
        self._numbers = itertools.count(1)

    def close(self) -> None:
        """Forget uploads that never came whole, and end the use of the index."""
        with self.lock:
            self.index.close()
        shutil.rmtree(self.uploads, ignore_errors=True)

    def place(self, path: str) -> Path:
        """Return where a path lies on the disk."""
        return self.folder / path if path else self.folder

    def look(self, path: str) -> Node | None:
        """Return what a path is now."""
        with self.lock:
            try:
                stat = self.place(path).stat(follow_symlinks=False)
            except (OSError, ValueError):
                self.index.forget(path)
                return None
            return self._seen(path, stat, self.index.node(path))

    def existing(self, path: str) -> Node:
        """Return what a path is now.

        Raises:
            RefusedError: Nothing is there.
        """
        node = self.look(path)
        if node is None:
            raise RefusedError(404, f"File with name /{path} could not be located")
        return node

    def children(self, path: str) -> list[Node]:
        """Return what lies in a folder, by name."""
        with self.lock:
            known = self.index.children(path)
            prefix = f"{path}/" if path else ""
            with os.scandir(self.place(path)) as entries:
                stats = {prefix + entry.name: entry.stat(follow_symlinks=False) for entry in entries}
            with self.index.bulk():
                nodes = [self._seen(name, stats[name], known.get(name)) for name in sorted(stats)]
            for gone in known.keys() - stats.keys():
                self.index.forget(gone)
            return nodes

    def used_bytes(self) -> int:
        """Return what all files take."""
        return sum(
            os.stat(os.path.join(at, name)).st_size  # noqa: PTH116, PTH118 - thousands of them
            for at, _, names in os.walk(self.folder)
            for name in names
        )

    @contextmanager
    def upload(self) -> Iterator[Path]:
        """Give a place where a file grows that nobody sees yet."""
        place = self.uploads / f"{next(self._numbers)}.part"
        try:
            yield place
        finally:
            place.unlink(missing_ok=True)

    def put(self, path: str, upload: Path, mtime_s: float | None) -> Node:
        """Let an upload take its place, whatever was there."""
        if mtime_s is not None:
            os.utime(upload, (mtime_s, mtime_s))
        with self.lock:
            before = self.look(path)
            upload.replace(self.place(path))
            node = self._written(path, self.place(path).stat(), before, int(time.time()))
            self._touch_above(path)
            return node

    def make_folder(self, path: str) -> Node:
        """Make a folder whose parent exists."""
        with self.lock:
            self.place(path).mkdir()
            self._touch_above(path)
            return self.existing(path)

    def move(self, source: str, target: str) -> None:
        """Let a file or folder lie elsewhere; ids, ETags and tags stay."""
        with self.lock:
            self.existing(source)
            self.index.forget(target)
            self.place(source).rename(self.place(target))
            self.index.move(source, target)
            self._touch_above(source)
            self._touch_above(target)

    def discard(self, path: str) -> None:
        """Put a file or folder into the trash."""
        with self.lock:
            name = f"{path.rpartition('/')[2]}.d{int(time.time())}"
            target = self.trash / name
            while target.exists():
                target = self.trash / f"{name}.{next(self._numbers)}"
            self.place(path).rename(target)
            self.index.forget(path)
            self._touch_above(path)

    def _seen(self, path: str, stat: os.stat_result, known: Node | None) -> Node:
        """Return a node as it is on the disk, noting what changed since it was last seen."""
        if known is not None and known.is_folder == _is_folder(stat) and known.stamp == _stamp(stat):
            return known
        if known is not None and known.is_folder and _is_folder(stat):
            return known  # what lies in it changed, and whoever did that by our means has told
        return self._written(path, stat, known, int(stat.st_mtime))

    def _written(self, path: str, stat: os.stat_result, before: Node | None, now_s: int) -> Node:
        is_folder = _is_folder(stat)
        etag = new_etag()
        is_alike = before is not None and (before.written_s, before.size_bytes) == (now_s, stat.st_size)
        if before is not None and is_alike and self.keeps_etag and not is_folder:
            etag = before.etag
        self.index.save(path, _stamp(stat), is_folder=is_folder, etag=etag, written_s=now_s)
        node = self.index.node(path)
        assert node is not None
        return node

    def _touch_above(self, path: str) -> None:
        above = path.rpartition("/")[0]
        self.index.touch({above, *(above[:end] for end, sign in enumerate(above) if sign == "/"), ""})


def _is_folder(stat: os.stat_result) -> bool:
    return S_ISDIR(stat.st_mode)


def _stamp(stat: os.stat_result) -> tuple[int, int, int]:
    return (0 if _is_folder(stat) else stat.st_size), stat.st_mtime_ns, stat.st_ino
