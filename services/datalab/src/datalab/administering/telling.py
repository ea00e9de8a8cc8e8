"""Rows for people and programs, and passwords from people."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from datalab.clock import written

_TIMES = frozenset({"created", "modified", "used"})
_TO_THE_MINUTE = len("2026-01-02T03:04")


def tell(line: str) -> None:
    """Write a line on standard output."""
    print(line)  # noqa: T201 - a command tells people


def tell_rows(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Write rows as a table, whose columns are as wide as they have to be, or all of them as JSON.

    Args:
        columns: The field of each head.
        rows: With fields for programs; times in ISO form, None for never.
        as_json: Whether for programs.
    """
    if as_json:
        tell(json.dumps(rows, indent=2))
        return
    table = [list(columns), *([_cell(field, row[field]) for field in columns.values()] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(columns))]
    for row in table:
        tell("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def add_json(command: argparse.ArgumentParser) -> None:
    """Let a command tell programs."""
    command.add_argument("--json", action="store_true", help="print JSON")


def moment(moment_us: int) -> str | None:
    """Return a time as JSON has it; None for never."""
    return written(moment_us) if moment_us else None


def ask_password() -> str:
    """Return a password: asked for twice at a terminal, else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    while True:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") == password:
            return password
        print("They differ.", file=sys.stderr)  # noqa: T201


def _cell(field: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)[:_TO_THE_MINUTE].replace("T", " ") if field in _TIMES else str(value)
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
