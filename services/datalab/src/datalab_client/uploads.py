"""Files of one's own, brought to datalab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from datalab_client.bars import Bar, bar_of_bytes
from datalab_client.connection import Connection
from datalab_client.errors import InvalidError
from datalab_client.hashing import sha256_of
from datalab_client.pages import each

PATH = "/api/uploads/"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was brought; operations take it as an input.

    Attributes:
        id: Names it for the server.
        basename: Names it for operations.
        size_bytes: How large it is.
        sha256: Of its content.
        created: When it was brought first.
    """

    id: int
    basename: str
    size_bytes: int
    sha256: str
    created: datetime
    _connection: Connection = field(repr=False, compare=False)

    @property
    def as_input(self) -> dict[str, Any]:
        """Return it as operations and sessions name it."""
        return {"type": "fitsfile", "source": "upload", "basename": self.basename}

    def delete(self) -> None:
        """Delete it from the server; what was computed from it stays."""
        self._connection.call("DELETE", f"{PATH}{self.id}/")


class Uploads:
    """Brings files, each once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> Iterator[Upload]:
        """Yield what was brought, newest first."""
        return (self._upload(one) for one in each(self._connection, PATH))

    def add(self, path: Path, name: str | None = None) -> Upload:
        """Bring a file, with a bar."""
        return self._added(path, name or path.name, [])

    def add_all(self, paths: Iterable[Path]) -> list[Upload]:
        """Bring files; those that are there already are not sent again."""
        found = list(paths)
        there = list(self.all()) if found else []
        return [self._added(path, path.name, there) for path in found]

    def _added(self, path: Path, name: str, there: Iterable[Upload]) -> Upload:
        if not path.is_file():
            raise InvalidError(f"There is no file {path}.")
        size_bytes = path.stat().st_size
        for known in there:
            if known.basename == name and known.size_bytes == size_bytes and known.sha256 == sha256_of(path):
                return known
        is_shown = self._connection.manners.progress
        with path.open("rb") as file, bar_of_bytes(name, size_bytes, is_shown=is_shown) as bar:
            return self._upload(self._connection.upload(PATH, name, _Watched(file, bar)))

    def _upload(self, told: Mapping[str, Any]) -> Upload:
        return Upload(
            int(told["id"]),
            str(told["basename"]),
            int(told["size_bytes"]),
            str(told["sha256"]),
            datetime.fromisoformat(told["created"]),
            self._connection,
        )


class _Watched:
    """A file that shows how much of it was read."""

    def __init__(self, file: BinaryIO, bar: Bar) -> None:
        self._file, self._bar = file, bar
        self.fileno, self.tell, self.seek = file.fileno, file.tell, file.seek

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        content = self._file.read(size)
        self._bar.to(self._file.tell())
        return content
