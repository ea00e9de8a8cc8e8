"""Which folder a tag of the form ``parent:category`` asks for, or why there can be no such folder."""

from __future__ import annotations

import unicodedata
from enum import StrEnum

NAME_BYTES_AT_MOST = 250
"""Of one part of a path: Nextcloud refuses more characters, and file systems more than 255 bytes."""

_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
)
_RESERVED = frozenset({".htaccess", ".user.ini", "thumbs.db", "desktop.ini", ".ds_store"})
_RESERVED_ENDS = (".part", ".filepart")
"""Nextcloud keeps these for uploads under way."""

_HIDDEN_CONTROLS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""They turn the direction of text, so that a name does not read as it is."""


class Fault(StrEnum):
    """Why a tag names no folder."""

    EMPTY = "empty"
    CLIMBS = "climbs"
    SLASH = "slash"
    BACKSLASH = "backslash"
    CONTROL = "control-characters"
    RESERVED = "reserved"
    HIDDEN = "hidden"
    ENDS_BADLY = "dot-or-space-at-the-end"
    TOO_LONG = "too-long"
    UNSORTED = "unsorted"

    @property
    def sentence(self) -> str:
        """Return it for people."""
        return _SENTENCES[self]


_SENTENCES = {
    Fault.EMPTY: "it names no category",
    Fault.CLIMBS: "a part of it is '.' or '..', which leads elsewhere",
    Fault.SLASH: "a '/' would make a folder within a folder, for which MOVER_NESTED_CATEGORIES is off",
    Fault.BACKSLASH: "Nextcloud takes no '\\' in a name",
    Fault.CONTROL: "it has control characters",
    Fault.RESERVED: "Nextcloud or Windows keeps this name for itself",
    Fault.HIDDEN: "a folder whose name begins with a dot is hidden",
    Fault.ENDS_BADLY: "a folder's name must not begin or end with a space, nor end with a dot",
    Fault.TOO_LONG: f"a folder's name has {NAME_BYTES_AT_MOST} bytes at most",
    Fault.UNSORTED: "this is the folder of the unsorted images",
}


class InvalidCategoryError(ValueError):
    """There can be no such folder."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault


def folded(text: str) -> str:
    """Return what is equal for texts that differ in case, or in how their accents are written, alone.

    Before release 32, Nextcloud lets users make the tags ``ai:cats``, ``AI:Cats`` and ``" ai:cats "``.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def category_text(tag: str, parent: str) -> str | None:
    """Return what stands behind ``parent:`` at the beginning of a tag's name; None: the tag is not for us."""
    colons = parent.count(":") + 1
    parts = tag.split(":", colons)
    if len(parts) <= colons or folded(":".join(parts[:colons]).strip()) != folded(parent.strip()):
        return None
    return unicodedata.normalize("NFC", parts[colons].strip())


def checked_category(text: str, *, nested: bool) -> str:
    """Return a category as the path of a folder.

    Args:
        text: What stands behind the colon.
        nested: Whether ``animals/cats`` means a folder within a folder.

    Raises:
        InvalidCategoryError: There can be no such folder.
    """
    parts = text.split("/")
    if any(part.strip() in (".", "..") for part in parts):
        raise InvalidCategoryError(Fault.CLIMBS)
    if len(parts) > 1 and not nested:
        raise InvalidCategoryError(Fault.SLASH)
    for part in parts:
        if fault := _fault(part):
            raise InvalidCategoryError(fault)
    return text


def _fault(name: str) -> Fault | None:
    """Return why there can be no folder of this name."""
    lower = name.lower()
    checks = {
        Fault.EMPTY: not name.strip(),
        Fault.CONTROL: any(map(_is_control, name)),
        Fault.BACKSLASH: "\\" in name,
        Fault.RESERVED: _is_reserved(lower),
        Fault.HIDDEN: name.startswith("."),
        Fault.ENDS_BADLY: name != name.strip() or name.endswith("."),
        Fault.TOO_LONG: len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES_AT_MOST,
    }
    return next((fault for fault, holds in checks.items() if holds), None)


def _is_reserved(lower: str) -> bool:
    is_device = lower.partition(".")[0].strip() in _DEVICES
    return is_device or lower in _RESERVED or lower.endswith(_RESERVED_ENDS)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _HIDDEN_CONTROLS
