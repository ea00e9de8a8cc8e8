"""What ODM says, kept line by line."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINE_BYTES = 1 << 16
CONSOLE_BYTES = 256 << 20
_FULL = b"(the console is full; what follows is not kept)\n"
_SECRET = re.compile(r"([?&]token=)[^&\s'\"\x1b]+")


class Console:
    """Everything that was said in all starts, line by line, in a file that only grows."""

    def __init__(self, path: Path, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._file = path.open("a+b", buffering=0)
        self._bytes = self._file.seek(0, os.SEEK_END)
        self._rest = b""
        if self._bytes and os.pread(self._file.fileno(), 1, self._bytes - 1) != b"\n":
            self._write(b"\n")  # the last start was cut off within a line

    def feed(self, chunk: bytes) -> None:
        """Take in what was read."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        texts = [_shown(line[:LINE_BYTES]) for line in lines]
        self._write("".join(f"{text}\n" for text in texts).encode())
        for text in texts:
            self._hear(text)

    def close(self) -> None:
        """Take what is left for a line."""
        if self._rest:
            self.feed(b"\n")
        self._file.close()

    def _write(self, content: bytes) -> None:
        if self._bytes < CONSOLE_BYTES:
            self._bytes += len(content)
            self._file.write(content if self._bytes < CONSOLE_BYTES else _FULL)


def _shown(line: bytes) -> str:
    """Return the line as a terminal would end up showing it, without tokens."""
    return _SECRET.sub(r"\1***", line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2])
