"""Names that others give to files."""

from __future__ import annotations

import unicodedata

from shared.errors import InvalidInputError

PATH_AT_MOST_CHARACTERS = 1024
_MEDIA_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "dng": "image/x-adobe-dng",
}


def confined(path: str) -> str:
    """Return a relative path that leads nowhere else.

    Raises:
        InvalidInputError: It is absolute, leads upwards, or is none.
    """
    if why := why_not_confined(path):
        raise InvalidInputError(f"{path[:80]!r} {why}", field="path", value=path[:80])
    return path


def why_not_confined(path: str) -> str:
    """Return what is wrong with a relative path, if anything; the empty one is the source itself."""
    if len(path) > PATH_AT_MOST_CHARACTERS:
        return f"has more than {PATH_AT_MOST_CHARACTERS} characters"
    if has_control_characters(path):
        return "holds characters that no path may have"
    if path and any(part in ("", ".", "..") for part in path.split("/")):
        return "lies outside the source, or is not written plainly"
    return ""


def has_control_characters(text: str) -> bool:
    """Return whether a text holds control characters, or bytes that were no UTF-8."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def media_type(path: str) -> str:
    """Return what a file is by its name, as far as flights need to know."""
    return _MEDIA_TYPES.get(path.lower().rpartition(".")[2], "application/octet-stream")
