"""Texts of others on a terminal: they say something, and do nothing there."""

from __future__ import annotations

KEPT = "\n\t"


def printable(text: str) -> str:
    """Return ``text`` with each character by which a terminal could be told what to do as its escape."""
    return "".join(
        letter if letter.isprintable() or letter in KEPT else letter.encode("unicode_escape").decode()
        for letter in text
    )
