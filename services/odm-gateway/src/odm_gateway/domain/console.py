"""Console text of a run, line by line."""

from __future__ import annotations

import re

LINE_AT_MOST_CHARACTERS = 4_000
"""Longer lines are cut: a console is for people, and polls carry all of it."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def clean_line(raw: str) -> str:
    """Return ``raw`` trimmed and without colours and other terminal control."""
    line = _CONTROL.sub("", _ANSI.sub("", raw)).strip()
    if len(line) > LINE_AT_MOST_CHARACTERS:
        line = line[:LINE_AT_MOST_CHARACTERS] + " …"
    # PyODM takes a list with an element "error" for an error answer.
    return "error:" if line == "error" else line
