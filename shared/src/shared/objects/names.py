"""File names of keys: which file holds an object, and which key a file name stands for.

A part of a key is percent-encoded down to letters, digits and ``._-``. The folder of ``a/`` is ``a+``, so
that the objects ``a`` and ``a/b`` coexist; a part too long for one file name goes on behind a folder ``…~``;
what is known of the object in ``a`` stands in ``.a=<size>-<mtime>``. None of ``+~=`` is ever in a key's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

FOLDER_MARK = "+"
CONTINUED_MARK = "~"
NAME_AT_MOST = 200
TEMPORARY = "+tmp"

_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_PLAIN = re.compile(r"[A-Za-z0-9._-]*")
_ESCAPED = re.compile(r"(?:[A-Za-z0-9._-]|%[0-9A-F]{2})+")


@dataclass(frozen=True, slots=True)
class Entry:
    """An object, or a folder of objects, found in a folder."""

    name: str
    """The key's text so far; ends with a slash for a folder."""
    found: os.DirEntry[str]


def key_to_path(root: Path, key: str) -> Path:
    """Return the file in ``root`` that holds the object ``key``."""
    folders, _, last = key.rpartition("/")
    return folder_path(root, folders).joinpath(*_names(last, ""))


def folder_path(root: Path, key: str) -> Path:
    """Return the folder in ``root`` that holds the objects below ``key/``; for an empty key, ``root``."""
    parts = key.split("/") if key else []
    return root.joinpath(*(name for part in parts for name in _names(part, FOLDER_MARK)))


def sidecar_path(path: Path, stat: os.stat_result) -> Path:
    """Return the file that tells more of the very content of ``path`` that ``stat`` describes.

    Size and time are in its name, so that replacing the content atomically replaces what is known of it.
    """
    return path.with_name(f".{path.name}={version(stat)}")


def version(stat: os.stat_result) -> str:
    """Return what tells two contents of one object apart."""
    return f"{stat.st_size:x}-{stat.st_mtime_ns:x}"


def entries(folder: Path, before: str) -> list[Entry]:
    """Return what is in ``folder``, sorted as its keys are; ``before`` is the text of keys so far."""
    return sorted(_entries(folder, before), key=lambda entry: entry.name)


def _entries(folder: Path | str, before: str) -> Iterator[Entry]:
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            text = _text(entry.name.rstrip(FOLDER_MARK + CONTINUED_MARK))
            if text is None:
                continue
            if entry.name.endswith(CONTINUED_MARK) and entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path, before + text)
            elif entry.name.endswith(FOLDER_MARK) and entry.is_dir(follow_symlinks=False):
                yield Entry(f"{before}{text}/", entry)
            elif _ESCAPED.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield Entry(before + text, entry)


def _names(part: str, mark: str) -> Iterator[str]:
    if len(part) <= NAME_AT_MOST and _PLAIN.fullmatch(part):
        yield part + mark
        return
    name = ""
    for letter in part:
        escaped = _escaped(letter)
        if len(name) + len(escaped) > NAME_AT_MOST:
            yield name + CONTINUED_MARK
            name = ""
        name += escaped
    yield name + mark


def _escaped(letter: str) -> str:
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in letter.encode())


def _text(name: str) -> str | None:
    if not _ESCAPED.fullmatch(name):
        return None
    try:
        return unquote_to_bytes(name).decode()
    except UnicodeDecodeError:
        return None
