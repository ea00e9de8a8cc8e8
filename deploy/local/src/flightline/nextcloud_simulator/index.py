"""What Nextcloud keeps in its database about files: ids, ETags, checksums, tags.

It is a SQLite file beside the folder, so that a simulator that is started again knows everything it knew.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files(
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT UNIQUE NOT NULL, parent TEXT NOT NULL,
    is_folder INTEGER NOT NULL, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL, written_s INTEGER NOT NULL, etag TEXT NOT NULL, checksum TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS by_parent ON files(parent);
CREATE TABLE IF NOT EXISTS tags(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
    is_visible INTEGER NOT NULL, is_assignable INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS tagged(
    file_id INTEGER NOT NULL, tag_id INTEGER NOT NULL, PRIMARY KEY(file_id, tag_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_tag ON tagged(tag_id);
"""
_COLUMNS = "id, path, is_folder, size_bytes, mtime_ns, inode, written_s, etag, checksum"


@dataclass(frozen=True, slots=True)
class Node:
    """One file or folder."""

    id: int
    path: str
    """Relative to the user's home; empty for the home itself."""
    is_folder: bool
    size_bytes: int
    mtime_ns: int
    inode: int
    written_s: int
    etag: str
    """Without quotes."""
    checksum: str

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def quoted_etag(self) -> str:
        """Return the ETag as headers have it."""
        return f'"{self.etag}"'

    @property
    def stamp(self) -> tuple[int, int, int]:
        """Return what tells whether the file on the disk is still the one that is known."""
        return (0 if self.is_folder else self.size_bytes), self.mtime_ns, self.inode


@dataclass(frozen=True, slots=True)
class Tag:
    """A system tag, which all users share."""

    id: int
    name: str
    is_visible: bool = True
    is_assignable: bool = True


def new_etag() -> str:
    """Return an ETag that no file has."""
    return secrets.token_hex(16)


class Index:
    """Files and tags by id. Callers hold the simulator's lock."""

    def __init__(self, database: Path) -> None:
        self._db = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {_SCHEMA}")

    def close(self) -> None:
        """End the use of the database."""
        self._db.close()

    # Files

    def node(self, path: str) -> Node | None:
        """Return what is known about a path."""
        rows = self._nodes("path = ?", path)
        return rows[0] if rows else None

    def node_of(self, file_id: int) -> Node | None:
        """Return the file with this id."""
        rows = self._nodes("id = ?", file_id)
        return rows[0] if rows else None

    def children(self, path: str) -> dict[str, Node]:
        """Return what is known to lie in a folder, by path."""
        return {node.path: node for node in self._nodes("parent = ? AND path <> ''", path)}

    def save(
        self, path: str, stamp: tuple[int, int, int], *, is_folder: bool, etag: str, written_s: int
    ) -> None:
        """Note what a path holds now; its id stays, its checksum is forgotten."""
        size_bytes, mtime_ns, inode = stamp
        self._db.execute(
            "INSERT INTO files(path, parent, is_folder, size_bytes, mtime_ns, inode, written_s, etag)"
            " VALUES(?,?,?,?,?,?,?,?) ON CONFLICT(path) DO UPDATE SET is_folder=excluded.is_folder,"
            " size_bytes=excluded.size_bytes, mtime_ns=excluded.mtime_ns, inode=excluded.inode,"
            " written_s=excluded.written_s, etag=excluded.etag, checksum=''",
            (path, _parent(path), is_folder, size_bytes, mtime_ns, inode, written_s, etag),
        )

    def set_checksum(self, path: str, checksum: str) -> None:
        """Keep a checksum, whether it is true or not."""
        self._db.execute("UPDATE files SET checksum=? WHERE path=?", (checksum, path))

    def touch(self, paths: Iterable[str]) -> None:
        """Give folders new ETags, as something below them has changed."""
        self._db.executemany("UPDATE files SET etag=? WHERE path=?", ((new_etag(), path) for path in paths))

    def move(self, source: str, target: str) -> None:
        """Let a file or folder, with all below, lie elsewhere; ids, ETags and tags stay."""
        with self._db:
            self._db.execute("BEGIN")
            for node in [*self._nodes("path = ?", source), *self._below(source)]:
                path = target + node.path[len(source) :]
                self._db.execute(
                    "UPDATE files SET path=?, parent=? WHERE id=?", (path, _parent(path), node.id)
                )

    def forget(self, path: str) -> None:
        """Forget a file or folder, with all below and what they were tagged with."""
        with self._db:
            self._db.execute("BEGIN")
            for node in [*self._nodes("path = ?", path), *self._below(path)]:
                self._db.execute("DELETE FROM tagged WHERE file_id=?", (node.id,))
                self._db.execute("DELETE FROM files WHERE id=?", (node.id,))

    def bulk(self) -> sqlite3.Connection:
        """Return the database for a block of writes: one transaction for many."""
        self._db.execute("BEGIN")
        return self._db

    def _below(self, path: str) -> list[Node]:
        prefix = f"{path}/"
        return self._nodes("substr(path, 1, ?) = ?", len(prefix), prefix)

    def _nodes(self, where: str, *values: object) -> list[Node]:
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM files WHERE {where}", values)  # noqa: S608 - ours
        return [Node(row[0], row[1], bool(row[2]), *row[3:]) for row in rows]

    # Tags

    def add_tag(self, name: str, *, is_visible: bool = True, is_assignable: bool = True) -> Tag:
        """Make a tag."""
        cursor = self._db.execute(
            "INSERT INTO tags(name, is_visible, is_assignable) VALUES(?,?,?)",
            (name, is_visible, is_assignable),
        )
        return Tag(int(cursor.lastrowid or 0), name, is_visible, is_assignable)

    def remove_tag(self, tag_id: int) -> None:
        """Remove a tag from all files and from the list."""
        self._db.execute("DELETE FROM tagged WHERE tag_id=?", (tag_id,))
        self._db.execute("DELETE FROM tags WHERE id=?", (tag_id,))

    def set_assignable(self, tag_id: int, *, is_assignable: bool) -> None:
        """Let users put a tag on files and take it off, or not."""
        self._db.execute("UPDATE tags SET is_assignable=? WHERE id=?", (is_assignable, tag_id))

    def tags(self) -> list[Tag]:
        """Return all tags, by id."""
        rows = self._db.execute("SELECT id, name, is_visible, is_assignable FROM tags ORDER BY id")
        return [Tag(row[0], row[1], bool(row[2]), bool(row[3])) for row in rows]

    def assign(self, file_id: int, tag_id: int) -> bool:
        """Put a tag on a file; return whether it was not there."""
        cursor = self._db.execute("INSERT OR IGNORE INTO tagged VALUES(?,?)", (file_id, tag_id))
        return cursor.rowcount > 0

    def unassign(self, file_id: int, tag_id: int) -> bool:
        """Take a tag off a file; return whether it was there."""
        cursor = self._db.execute("DELETE FROM tagged WHERE file_id=? AND tag_id=?", (file_id, tag_id))
        return cursor.rowcount > 0

    def tag_ids_of(self, file_id: int) -> list[int]:
        """Return the ids of a file's tags."""
        rows = self._db.execute("SELECT tag_id FROM tagged WHERE file_id=? ORDER BY tag_id", (file_id,))
        return [row[0] for row in rows]

    def tag_ids_below(self, parent: str) -> dict[int, list[int]]:
        """Return the ids of the tags of all files in a folder, by the file's id."""
        rows = self._db.execute(
            "SELECT file_id, tag_id FROM tagged JOIN files ON files.id = file_id"
            " WHERE parent=? ORDER BY tag_id",
            (parent,),
        )
        found: dict[int, list[int]] = {}
        for file_id, tag_id in rows:
            found.setdefault(file_id, []).append(tag_id)
        return found

    def nodes_with(self, tag_name: str) -> list[Node]:
        """Return the files that have a tag of this name, whichever of several."""
        return self._nodes(
            "id IN (SELECT file_id FROM tagged JOIN tags ON tags.id = tag_id WHERE name = ?) ORDER BY path",
            tag_name,
        )


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
