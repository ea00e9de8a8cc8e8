"""Folders made of paths, for sources that are one flat list of files."""

from __future__ import annotations

from collections.abc import Iterable

from shared.errors import NotFoundError
from shared.sources.names import why_not_confined
from shared.sources.port import Entry, Folder, Skipped


def folder_of(path: str, files: Iterable[Entry], skipped: Iterable[Skipped] = (), *, where: str) -> Folder:
    """Return what lies directly in a folder.

    Raises:
        NotFoundError: Nothing lies in it or below.
    """
    above = f"{path}/" if path else ""
    here: list[Entry] = []
    folders: set[str] = set()
    for entry in files:
        if entry.path.startswith(above):
            name, is_deeper, _ = entry.path[len(above) :].partition("/")
            if is_deeper:
                folders.add(above + name)
            else:
                here.append(entry)
    left_out = [item for item in skipped if _told_in(item.path) == path]
    if path and not (here or folders or left_out):
        raise NotFoundError(f"there is no folder {path!r} in {where}")
    here.sort(key=lambda entry: entry.path)
    return Folder(tuple(here), tuple(sorted(folders)), tuple(sorted(left_out, key=lambda item: item.path)))


def _told_in(path: str) -> str:
    """Return the folder where a file that is left out is told of; the root if its name leads nowhere."""
    return "" if why_not_confined(path) else path.rpartition("/")[0]
