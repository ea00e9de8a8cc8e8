"""Paths on a WebDAV server, and names of ours that nobody else chooses."""

from __future__ import annotations

import re
import secrets
import time
import unicodedata
from datetime import timedelta
from urllib.parse import quote, unquote, urlsplit

from shared.errors import InvalidInputError

PATH_AT_MOST_CHARACTERS = 4096
_OURS = re.compile(r"\.flightline-(?:new|probe)-([0-9a-f]{8})-[0-9a-f]{24}(?:\?;)?")


_ODD = frozenset("?;")


def confined(path: str) -> str:
    """Return a path that leads nowhere but below the place.

    Raises:
        InvalidInputError: It does not, or no server takes it as it is meant.
    """
    if why := why_not_confined(path):
        raise InvalidInputError(f"{path[:80]!r} {why}", field="path", value=path[:80])
    return path


def why_not_confined(path: str) -> str:
    """Return what is wrong with a relative path, if anything; the empty one is the place itself."""
    if len(path) > PATH_AT_MOST_CHARACTERS:
        return f"has more than {PATH_AT_MOST_CHARACTERS} characters"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        return "holds characters that no path may have"
    if "\\" in path:
        return "holds a backslash, which some servers take for a slash"
    if path and any(part in ("", ".", "..") for part in path.split("/")):
        return "leads out of its folder, or is not written plainly"
    return ""


def encoded(path: str) -> str:
    """Return a path as URLs have it."""
    return quote(path, safe="/")


def decoded(href: str) -> str:
    """Return the path that an address of an answer means: with a leading slash, none behind, decoded once."""
    text = href.strip()
    if not text.startswith("/"):
        text = urlsplit(text).path
    return "/" + unquote(text.partition("?")[0].partition("#")[0], errors="surrogateescape").strip("/")


def parent_of(path: str) -> str:
    """Return the folder that something lies in."""
    return path.rpartition("/")[0]


def temporary_beside(path: str) -> str:
    """Return a path in the same folder that nobody can guess, with the moment in it."""
    return _beside(path, "new")


def probe_in(folder: str) -> str:
    """Return a path in a folder that nobody can guess, for trying out what the server does."""
    return _beside(f"{folder}/x".lstrip("/"), "probe")


def is_odd(path: str) -> bool:
    """Return whether there are servers that take a path for another when something is moved there."""
    return not _ODD.isdisjoint(path)


def _beside(path: str, kind: str) -> str:
    name = f".flightline-{kind}-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"{parent_of(path)}/{name}".lstrip("/")


def is_temporary(name: str) -> bool:
    """Return whether a file is one that we write before it gets its name, or try a server out with."""
    return _OURS.fullmatch(name) is not None


def age_of(name: str) -> timedelta:
    """Return how long ago a temporary file was named; its time of change is that of what it will be."""
    found = _OURS.fullmatch(name)
    return timedelta(seconds=time.time() - int(found[1], 16)) if found else timedelta(0)
