"""Paths as Nextcloud takes and writes them."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from flightline.nextcloud_simulator.answers import RefusedError

_MOST_CHARACTERS = 250
_FORBIDDEN = frozenset({".htaccess"})
_ESCAPED = re.compile(rb"[^A-Za-z0-9_\-.~()/]")


def check_name(path: str) -> None:
    """Refuse what no file or folder may be called.

    Raises:
        RefusedError: 400 or 403, as measured on a real one.
    """
    name = path.rpartition("/")[2]
    if "\\" in name or any(ord(character) < ord(" ") for character in name):
        raise RefusedError(400, "File name contains at least one invalid character")
    if len(name) > _MOST_CHARACTERS:
        raise RefusedError(400, "File name is too long")
    if name.lower() in _FORBIDDEN:
        raise RefusedError(403, f"{name} is a forbidden file or folder name.")


def href(path: str) -> str:
    """Return a path as addresses have it: escapes are lower-case, unlike those of most servers."""
    return _ESCAPED.sub(lambda found: b"%%%02x" % found[0][0], path.encode(errors="surrogateescape")).decode()


def decoded(raw: str) -> str:
    """Return the path of an address or of a WSGI request as text."""
    return raw.encode("latin-1", errors="replace").decode(errors="surrogateescape")


def destination_path(value: str) -> str:
    """Return the decoded path of a ``Destination``, where ``..`` climbs, as on a real one."""
    path = unquote(urlsplit(value).path, errors="surrogateescape")
    return resolved(path)


def resolved(path: str) -> str:
    """Return a path without ``.``, ``..`` and doubled slashes; it never climbs above the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
