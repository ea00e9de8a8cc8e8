"""Names for files whose own is taken."""

from __future__ import annotations

from mover.domain.categories import NAME_BYTES_AT_MOST

SUFFIX_BYTES_AT_MOST = 20
"""What is longer behind the last dot is no suffix."""


def numbered(name: str, number: int) -> str:
    """Return ``picture (2).jpg`` for ``picture.jpg``; a name that would be too long loses of its middle.

    Args:
        name: Of the file.
        number: 1 is the name itself.
    """
    if number == 1:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or " " in suffix or len(suffix.encode()) > SUFFIX_BYTES_AT_MOST:
        stem, dot, suffix = name, "", ""
    end = f" ({number}){dot}{suffix}"
    return shortened(stem, NAME_BYTES_AT_MOST - len(end.encode())) + end


def shortened(text: str, bytes_at_most: int) -> str:
    """Return the beginning of a text that fits, in whole characters."""
    return text.encode()[: max(0, bytes_at_most)].decode(errors="ignore")
