"""Pages of a listing put together.

Tapis counts pages by offset and reads the folder anew for each, so that a file that comes or goes meanwhile
shifts all behind it: one would be listed twice, or left out without a sign. Each page therefore begins with
the last file of the one before it; where that does not fit, the listing begins anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.tapis.records import FileInfo

PAGE = 1000
"""The most that Tapis gives."""
ANEW_AT_MOST = 3
ENTRIES_AT_MOST = 2_000_000

ReadPage = Callable[[int], Awaitable[list[FileInfo]]]


@dataclass(slots=True)
class Listed:
    """What lies directly in a folder."""

    files: dict[str, FileInfo] = field(default_factory=dict)
    """By name; whatever is no folder."""
    folders: set[str] = field(default_factory=set)
    """Names."""


class _ShiftedError(Exception):
    """The folder changed between two pages."""


async def collect(read_page: ReadPage, path: str, where: str, *, has_folders: bool) -> Listed:
    """Read a whole folder; of a system without folders, sort its keys into those directly in it and below.

    Raises:
        NotFoundError: There is no such folder.
        InvalidInputError: It is a file.
        TransientError: It changes as quickly as it is read.
    """
    for _ in range(ANEW_AT_MOST):
        try:
            return await _read(read_page, path, where, has_folders=has_folders)
        except _ShiftedError:
            continue
    raise TransientError(f"{where} changes while it is listed")


async def _read(read_page: ReadPage, path: str, where: str, *, has_folders: bool) -> Listed:
    listed, last, count = Listed(), None, 0
    while True:
        page = await read_page(max(0, count - 1))
        if last is not None:
            _check_overlap(page, last)
        new = _distinct(page, last)
        for info in new:
            _sort_in(info, path, where, listed, has_folders=has_folders)
        count += len(new)
        if len(page) < PAGE or not new:
            break
        last = new[-1].path
        if count > ENTRIES_AT_MOST:
            raise PermanentError(f"{where} holds more than {ENTRIES_AT_MOST} files")
    if not has_folders and path and not (listed.files or listed.folders):
        raise NotFoundError(f"there is nothing below {where}")
    return listed


def _check_overlap(page: list[FileInfo], last: str) -> None:
    if not page or page[0].path != last:
        raise _ShiftedError


def _distinct(page: list[FileInfo], last: str | None) -> list[FileInfo]:
    """Return a page without the files that stand in it twice, and without that of the page before."""
    by_path = {info.path: info for info in page}
    by_path.pop(last or "", None)
    return list(by_path.values())


def _sort_in(info: FileInfo, path: str, where: str, listed: Listed, *, has_folders: bool) -> None:
    name = info.path.removeprefix(f"{path}/") if path else info.path
    if has_folders and info.path == path and info.kind != "dir":
        raise InvalidInputError(f"{where} is no folder", field="source", value=where)
    if (path and name == info.path) or not name:
        return  # of a neighbour whose name begins alike, which S3 lists as well
    first, is_deeper, _ = name.partition("/")
    if is_deeper or info.kind == "dir":
        listed.folders.add(first)
    else:
        listed.files[first] = info
