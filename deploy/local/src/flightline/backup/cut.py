"""SQLite files as they are at one single moment, copied while others write on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from shared.errors import InvalidInputError
from shared.sqlite import connect, translated

PAGES_AT_ONCE = 256


@contextmanager
def cut(paths: Sequence[Path]) -> Iterator[list[sqlite3.Connection]]:
    """Give connections that see each file as it was at one moment, the same for all.

    Nobody can write between the first and the last look, which takes some milliseconds: what is seen is what
    a power cut at that moment would have left. Copying then waits for nobody, and nobody for it.

    Raises:
        InvalidInputError: A file is not there.
        TransientError: Somebody else kept a file for ten seconds.
    """
    with ExitStack() as stack:
        readers = [_opened(stack, path) for path in paths]
        with ExitStack() as still:
            for path in paths:
                _execute(path, _opened(still, path), "BEGIN IMMEDIATE")
            for path, reader in zip(paths, readers, strict=True):
                _execute(path, reader, "BEGIN")
                _execute(path, reader, "SELECT count(*) FROM sqlite_master")  # the look begins with a read
        yield readers


def copy(reader: sqlite3.Connection, target: Path) -> None:
    """Write what ``reader`` sees into the new file ``target``, as one file that needs no other."""
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as connection:
            reader.backup(connection, pages=PAGES_AT_ONCE)
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise translated(error, target) from error


def _opened(stack: ExitStack, path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise InvalidInputError(f"there is no {path}: has anything run on these backends?", field="state")
    return stack.enter_context(closing(connect(path)))


def _execute(path: Path, connection: sqlite3.Connection, statement: str) -> None:
    try:
        connection.execute(statement).fetchall()
    except sqlite3.Error as error:
        raise translated(error, path) from error
