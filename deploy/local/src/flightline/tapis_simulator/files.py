"""The files of one system: a folder of the disk, and above it what exists only here."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from flightline.tapis_simulator.contents import Content, MadeUp, OnDisk, Written

Kind = Literal["file", "dir", "symbolic_link", "other"]
_FOLDER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder at ``path``, which has no leading slash."""

    path: str
    kind: Kind
    size_bytes: int
    modified_s: int
    content: Content | None = None

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition("/")[2]


class FileTree:
    """Files by path. What is put or removed here never touches the disk below.

    Args:
        root: Folder of the disk; none: all files are made up.
        seed: Made-up bytes follow from it and from the path.
    """

    def __init__(self, root: Path | None = None, *, seed: str = "") -> None:
        self._root = root.resolve() if root else None
        self._seed = seed
        self._changes: dict[str, dict[str, Entry | None]] = {"": {}}
        self._sorted: dict[str, list[Entry]] = {}
        self._versions = 0

    @property
    def is_on_disk(self) -> bool:
        """Return whether reading may wait for a disk."""
        return self._root is not None

    def add(self, path: str, size_bytes: int, modified_s: int | None = None) -> Entry:
        """Put a file of made-up bytes; a new one in the place of another has other bytes."""
        path = path.strip("/")
        self._versions += self.stat(path) is not None
        seed = f"{self._seed}/{path}#{self._versions}"
        is_jpeg = path.lower().endswith((".jpg", ".jpeg"))
        return self.put(path, MadeUp(seed, size_bytes, is_jpeg), modified_s)

    def write(self, path: str, data: bytes, modified_s: int | None = None) -> Entry:
        """Put a file of these bytes."""
        return self.put(path, Written(data), modified_s)

    def put(self, path: str, content: Content, modified_s: int | None = None) -> Entry:
        """Put a file, in the place of what is there."""
        modified_s = int(time.time()) if modified_s is None else modified_s
        entry = Entry(path.strip("/"), "file", content.size_bytes, modified_s, content)
        self._change(entry.path, entry)
        return entry

    def make_folder(self, path: str) -> None:
        """Put an empty folder, unless there is one."""
        path = path.strip("/")
        if path and path not in self._changes and self._on_disk(path) is None:
            self._change(path, Entry(path, "dir", _FOLDER_BYTES, int(time.time())))
            self._changes[path] = {}

    def remove(self, path: str) -> None:
        """Take a file or folder away."""
        path = path.strip("/")
        for folder in [name for name in self._changes if name == path or name.startswith(f"{path}/")]:
            del self._changes[folder]
        self._change(path, None)

    def stat(self, path: str) -> Entry | None:
        """Return what is at ``path``."""
        path = path.strip("/")
        if not path:
            return Entry("", "dir", _FOLDER_BYTES, self._folder_modified_s())
        folder, _, name = path.rpartition("/")
        changes = self._changes.get(folder, {})
        if name in changes:
            return changes[name]
        return None if self._is_hidden(folder) else self._on_disk(path)

    def children(self, folder: str) -> list[Entry] | None:
        """Return what is in ``folder`` by name, whatever its case; nothing if it is no folder."""
        folder = folder.strip("/")
        if (known := self._sorted.get(folder)) is not None:
            return known
        entry = self.stat(folder)
        if entry is None or entry.kind != "dir":
            return None
        names = {} if self._is_hidden(folder) else self._disk_children(folder)
        names |= self._changes.get(folder, {})
        found = sorted(filter(None, names.values()), key=lambda one: (one.name.lower(), one.name))
        if self._root is None:
            self._sorted[folder] = found
        return found

    def walk(self, folder: str = "") -> Iterator[Entry]:
        """Return every file below ``folder``."""
        for entry in self.children(folder) or ():
            if entry.kind == "dir":
                yield from self.walk(entry.path)
            else:
                yield entry

    def touch(self, path: str, modified_s: int) -> None:
        """Change when a file was modified, and nothing else."""
        if (entry := self.stat(path)) is not None:
            self._change(entry.path, replace(entry, modified_s=modified_s))

    def _change(self, path: str, entry: Entry | None) -> None:
        folder, _, name = path.rpartition("/")
        if entry is not None and folder not in self._changes:
            self.make_folder(folder)
        self._changes.setdefault(folder, {})[name] = entry
        self._sorted.pop(folder, None)
        self._sorted.pop(path, None)

    def _is_hidden(self, folder: str) -> bool:
        """Return whether the disk's folder, or one above it, was removed."""
        while folder:
            folder, _, name = folder.rpartition("/")
            if self._changes.get(folder, {}).get(name, self) is None:
                return True
        return False

    def _disk_children(self, folder: str) -> dict[str, Entry | None]:
        path = self._inside(folder)
        if path is None or not path.is_dir():
            return {}
        return {one.name: self._on_disk(f"{folder}/{one.name}".strip("/")) for one in path.iterdir()}

    def _on_disk(self, path: str) -> Entry | None:
        place = self._inside(path)
        if place is None:
            return None
        try:
            status = place.lstat()
        except OSError:
            return None
        kind = _kind(status.st_mode)
        content = OnDisk(place, status.st_size) if kind == "file" else None
        return Entry(path, kind, status.st_size, int(status.st_mtime), content)

    def _inside(self, path: str) -> Path | None:
        """Return the place of ``path`` on disk, if no link leads out of the folder on the way."""
        if self._root is None or ".." in path.split("/"):
            return None
        if not path:
            return self._root
        place = self._root / path
        return place if place.parent.resolve().is_relative_to(self._root) else None

    def _folder_modified_s(self) -> int:
        try:
            return int(self._root.stat().st_mtime) if self._root else 0
        except OSError:
            return 0


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "symbolic_link" if stat.S_ISLNK(mode) else "other"
