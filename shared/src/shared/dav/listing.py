"""Answers taken for what was asked about, or not at all."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime

from shared.dav.etags import is_weak
from shared.dav.model import DavFolder, DavResource
from shared.dav.multistatus import Answered
from shared.dav.paths import is_temporary, why_not_confined
from shared.errors import NotFoundError, TransientError


def itself_and_within(
    answered: Iterable[Answered], path: str, where: str, root: str = ""
) -> tuple[Answered, list[Answered]]:
    """Return the folder itself, or the file, and what lies in it.

    Args:
        answered: The answer.
        path: What was asked about: absolute and decoded.
        where: The same for people.
        root: The part of ``path`` that a proxy may know by a longer or shorter name.

    Raises:
        TransientError: This is no answer of a WebDAV server to that question.
        NotFoundError: It says that there is no such thing.
    """
    found = {resource.path: resource for resource in answered}
    path = _known_as(found, "/" + path.strip("/"), "/" + root.strip("/"))
    if path not in found:
        raise TransientError(f"{where}: the answer does not speak of what was asked for")
    itself = found.pop(path)
    if itself.is_missing:
        raise NotFoundError(f"there is no {where}")
    above = "/" if path == "/" else f"{path}/"
    for other in found:
        if not other.startswith(above) or "/" in other[len(above) :] or other[len(above) :] in (".", ".."):
            raise TransientError(f"{where}: the answer speaks of {other!r}, which does not lie in it")
    return itself, sorted(found.values(), key=lambda resource: resource.path)


def _known_as(found: Iterable[str], path: str, root: str) -> str:
    """Return by what name the answer knows ``path``.

    A server may tell names in Unicode's composed form; and a proxy that takes a part off the front of paths,
    or puts one there, does not change the answers accordingly.
    """
    if path in found:
        return path
    composed = unicodedata.normalize("NFC", path)
    for other in found:
        if unicodedata.normalize("NFC", other) == composed:
            return other
    below = path.removeprefix(root) if root != "/" else path
    shortest = min(found, key=len, default="")
    start = shortest.removesuffix(below) if below else shortest
    is_same_place = shortest.endswith(below) and (
        f"{root}/".endswith(f"{start.rstrip('/')}/") or f"{start}/".endswith(f"{root.rstrip('/')}/")
    )
    return shortest if is_same_place and root != "/" else path


def resource_at(path: str, answered: Answered) -> DavResource:
    """Return what was answered as what lies at ``path``."""
    return DavResource(
        path=path,
        is_folder=answered.is_folder,
        size_bytes=answered.size_bytes,
        etag=answered.etag,
        modified_at=_moment(answered.modified),
        sha256=answered.sha256,
        file_id=answered.file_id,
        tags=answered.tags,
        has_weak_etag=is_weak(answered.told_etag),
    )


def folder_at(path: str, itself: Answered, within: Iterable[Answered]) -> DavFolder:
    """Return a folder and what lies in it; what has a name that no path may have is told apart."""
    files, folders, leftovers, unusable = [], [], [], []
    for answered in within:
        name = answered.path.rpartition("/")[2]
        resource = resource_at(f"{path}/{name}".lstrip("/"), answered)
        if why_not_confined(name):
            unusable.append(name.encode("unicode_escape").decode())
        elif resource.is_folder:
            folders.append(resource)
        elif is_temporary(name):
            leftovers.append(resource)
        elif not answered.is_missing:
            files.append(resource)
    return DavFolder(
        resource_at(path, itself), tuple(files), tuple(folders), tuple(leftovers), tuple(unusable)
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
