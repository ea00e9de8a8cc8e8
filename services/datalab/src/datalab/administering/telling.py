"""Rows for people, and passwords from them."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable, Sequence

from datalab.clock import written


def tell(line: str) -> None:
    """Write a line on standard output."""
    print(line)  # noqa: T201 - a command tells people


def tell_rows(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; its columns are as wide as they have to be."""
    table = [list(heads), *([_printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    for row in table:
        tell("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def day(moment_us: int) -> str:
    """Return a moment to the minute; nothing for never."""
    return written(moment_us)[:16].replace("T", " ") if moment_us else "-"


def ask_password() -> str:
    """Return a password: asked for twice at a terminal, else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    while True:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") == password:
            return password
        print("They differ.", file=sys.stderr)  # noqa: T201


def _printable(cell: object) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(cell))
