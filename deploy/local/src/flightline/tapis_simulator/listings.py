"""``listFiles`` and ``getStatInfo``, with the oddities of the real service."""

from __future__ import annotations

import asyncio
import fnmatch
import functools
import mimetypes
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from flightline.tapis_simulator.answers import RefusedError, java
from flightline.tapis_simulator.asking import TAPIS, flag, integer, storage, wants
from flightline.tapis_simulator.files import Entry, FileTree
from flightline.tapis_simulator.systems import StorageSystem

PAGE = 1000
_DEEPEST = 20
_MOST_ENTRIES = 200_000
_PERMISSIONS = {"dir": "rwxr-xr-x", "file": "rw-r--r--"}

NameTest = Callable[[str], bool]


async def list_files(request: web.Request) -> web.Response:
    """Answer ``GET /v3/files/ops/{systemId}/{path}``."""
    system, path, _ = storage(request)
    limit = integer(request, "limit", PAGE, least=0, most=PAGE)
    offset = integer(request, "offset", 0, least=0)
    is_recursive = bool(flag(request, "recurse"))
    named = _name_test(request.query.get("pattern"))
    spec = request.app[TAPIS].recursion == "spec"
    _shift(request, system.files, path)

    def read() -> list[Entry]:
        if system.type == "S3":
            return _keys(system.files, path, limit, offset)
        if is_recursive:
            return _descend(system.files, path, limit, offset, named, reaches_all=spec)
        return [entry for entry in _page(system, path, limit, offset) if named(entry.name)]

    entries = await (asyncio.to_thread(read) if system.files.is_on_disk else _now(read))
    if (fault := wants(request, "duplicate")) and entries:
        entries = [*entries, *entries[-1:] * fault.files]
    return java(_documents(system, entries), f"FAPI_OK Listing of {path or '/'}")


async def stat_info(request: web.Request) -> web.Response:
    """Answer ``GET /v3/files/utils/linux/{systemId}/{path}``."""
    system, path, _ = storage(request)
    if system.type != "LINUX":
        raise RefusedError(400, f"FILES_OPSC_NOT_LINUX System is not of type LINUX. System: {system.id}")
    entry = system.files.stat(path)
    if entry is None:
        raise _missing(system, path)
    result = {
        "absolutePath": f"/data/projects/{system.id}/{path}".rstrip("/"),
        "uid": 1001,
        "gid": 1001,
        "size": entry.size_bytes,
        "perms": _PERMISSIONS.get(entry.kind, "rwxrwxrwx"),
        "accessTime": entry.modified_s,
        "modifyTime": entry.modified_s,
        "dir": entry.kind == "dir",
        "link": entry.kind == "symbolic_link",
    }
    return java(result, f"FAPI_OK Status of {path or '/'}")


async def _now(read: Callable[[], list[Entry]]) -> list[Entry]:
    return read()


def _shift(request: web.Request, files: FileTree, path: str) -> None:
    """Change the folder as faults want it, before it is read."""
    if fault := wants(request, "appear"):
        files.add(f"{path}/{fault.name}", fault.size_bytes or 1000)
    if wants(request, "disappear") and (entries := files.children(path)):
        files.remove(entries[0].path)
    if fault := wants(request, "grow"):
        present = len(files.children(path) or ())
        for number in range(present, present + fault.files):
            files.add(f"{path}/grown_{number:06}.jpg", fault.size_bytes or 1000)


def _page(system: StorageSystem, path: str, limit: int, offset: int) -> Sequence[Entry]:
    entries = system.files.children(path)
    if entries is not None:
        return entries[offset : offset + limit]
    entry = system.files.stat(path)
    if entry is None:
        raise _missing(system, path)
    return [entry][offset : offset + limit]  # as sftp does, a file is listed as itself


def _keys(files: FileTree, prefix: str, limit: int, offset: int) -> list[Entry]:
    """List as S3 does: whatever begins with the prefix, so that ``Flight1`` finds ``Flight10/`` too."""
    folder = prefix.rpartition("/")[0]
    keys = sorted(
        (one for one in files.walk(folder) if one.path.startswith(prefix)), key=lambda one: one.path
    )
    if prefix and not keys:
        raise RefusedError(404, f"FILES_CLIENT_NOT_FOUND No such file at {prefix}")
    return keys[offset : offset + limit]


def _descend(
    files: FileTree, path: str, limit: int, offset: int, named: NameTest, *, reaches_all: bool, depth: int = 0
) -> list[Entry]:
    """List folder by folder; ``limit`` and ``offset`` count anew in each, as they do in Tapis."""
    children = files.children(path)
    if children is None and depth == 0:
        raise RefusedError(404, f"FILES_CLIENT_NOT_FOUND Path not found: {path}")
    page = (children or [])[offset : offset + limit]
    found = [entry for entry in page if named(entry.name)]
    for entry in page if reaches_all else list(found):
        if entry.kind == "dir" and depth < _DEEPEST and len(found) < _MOST_ENTRIES:
            deeper = _descend(
                files, entry.path, limit, offset, named, reaches_all=reaches_all, depth=depth + 1
            )
            found.extend(deeper)
    return found


def _name_test(pattern: str | None) -> NameTest:
    if not pattern:
        return lambda _name: True
    text = pattern.removeprefix("regex:")
    try:
        regex = re.compile(text if text != pattern else fnmatch.translate(pattern))
    except re.error:
        raise RefusedError(400, f"FILES_BAD_PATTERN Invalid pattern: {pattern}") from None
    return lambda name: regex.fullmatch(name) is not None


def _missing(system: StorageSystem, path: str) -> RefusedError:
    return RefusedError(404, f"FILES_CLIENT_SSH_NOT_FOUND Path not found. System: {system.id} Path: {path}")


def _documents(system: StorageSystem, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    is_posix = system.type != "S3"
    return [
        {
            "mimeType": _mime_type(entry.name.rpartition(".")[2]) if entry.kind == "file" else None,
            "type": entry.kind,
            "owner": "1001" if is_posix else None,
            "group": "1001" if is_posix else None,
            "nativePermissions": _PERMISSIONS.get(entry.kind, "rwxrwxrwx") if is_posix else None,
            "url": f"tapis://{system.id}/{entry.path}",
            "lastModified": _iso(entry.modified_s),
            "name": entry.name,
            "path": entry.path,
            "size": entry.size_bytes,
        }
        for entry in entries
    ]


@functools.lru_cache(maxsize=1000)
def _mime_type(suffix: str) -> str | None:
    return mimetypes.guess_type(f"file.{suffix}")[0]


@functools.lru_cache(maxsize=10_000)
def _iso(modified_s: int) -> str:
    return datetime.fromtimestamp(modified_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
