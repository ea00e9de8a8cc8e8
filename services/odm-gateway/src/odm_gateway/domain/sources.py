"""Files that a client names instead of sending them, and which of them count."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from odm_gateway.domain import javascript
from odm_gateway.domain.callers import Caller
from odm_gateway.domain.images import is_image
from odm_gateway.domain.manifest import has_role
from odm_gateway.domain.tasks import Source
from shared.errors import InvalidInputError

DEEPEST_SCAN = 100
EXCLUDED_AT_MOST = 1000

_OURS = ("uploads", "products", "jobs")
"""Folders of the object store that hold tasks of everybody …"""
_NOT_TO_WRITE = (*_OURS, "staging")
"""… and flights."""

_PRODUCT_FOLDERS = frozenset(
    {
        "3d_tiles", "dsm_tiles", "dtm_tiles", "entwine_pointcloud", "mve", "odm_25dmeshing", "odm_dem",
        "odm_filterpoints", "odm_georeferencing", "odm_georeferencing_25d", "odm_meshing", "odm_orthophoto",
        "odm_report", "odm_texturing", "odm_texturing_25d", "openmvs", "opensfm", "orthophoto_tiles",
        "potree_pointcloud", "smvs", "submodels",
    }
)  # fmt: skip
_PRODUCT_FILES = frozenset({"all.zip", "benchmark.txt", "img_list.txt", "task_output.txt"})
_BESIDE_VIDEOS = (".srt",)


def named_source(fields: Mapping[str, Any]) -> Source | None:
    """Return where a request says that its files lie; both NodeODM's and ScaleODM's fields count.

    Raises:
        InvalidInputError: What it says about them makes no sense.
    """
    uri = _text(fields, "zipurl") or _text(fields, "readS3Path")
    if not uri:
        return None
    return Source(uri=uri, depth=_depth(fields.get("s3ScanDepth")), excluded=_excluded(fields))


def wanted_products(fields: Mapping[str, Any]) -> str | None:
    """Return the URI of the prefix that a request wants its products under, if it wants one."""
    return _text(fields, "writeS3Path") or None


def is_web(uri: str) -> bool:
    """Return whether files have to be fetched from the web."""
    return uri.partition("://")[0].lower() in ("http", "https")


def is_archive(uri: str) -> bool:
    """Return whether a URI in the object store names an archive rather than a prefix."""
    return uri.lower().endswith(".zip")


def check_readable(prefix: str, caller: Caller) -> None:
    """Return if a caller may have the objects at or below ``prefix`` processed.

    Raises:
        InvalidInputError: They may be somebody else's.
    """
    if not prefix:
        raise InvalidInputError("The images must lie in a folder of the object store, not all over it.")
    if not caller.sees_all and prefix.partition("/")[0] in _OURS:
        raise InvalidInputError("Files of tasks cannot be processed again from where they lie.")


def check_writable(prefix: str) -> None:
    """Return if a user may have products stored below ``prefix``.

    Raises:
        InvalidInputError: Something of ours lies there.
    """
    if not prefix or prefix.partition("/")[0] in _NOT_TO_WRITE:
        raise InvalidInputError(
            f"writeS3Path must be a folder of its own, not in {', '.join(_NOT_TO_WRITE)}.",
            field="writeS3Path",
        )


def counts(path: str, source: Source) -> bool:
    """Return whether a file below a prefix, by its path there, is one to process.

    Products of earlier runs, hidden files and whatever no engine looks at are not.
    """
    folders = path.split("/")[:-1]
    name = path.rpartition("/")[2]
    if source.depth is not None and len(folders) > source.depth:
        return False
    if any(folder in _PRODUCT_FOLDERS or folder == "__MACOSX" for folder in folders):
        return False
    if name.startswith(".") or name in _PRODUCT_FILES or _is_excluded(path, source.excluded):
        return False
    return is_image(name) or has_role(name) or name.lower().endswith(_BESIDE_VIDEOS)


def _is_excluded(path: str, excluded: tuple[str, ...]) -> bool:
    return any(path == item or path.startswith(f"{item}/") or fnmatchcase(path, item) for item in excluded)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else ""


def _depth(raw: object) -> int | None:
    """Return how many folders below the prefix count; ScaleODM counts the prefix itself as the first."""
    if raw in (None, ""):
        return None
    depth = javascript.to_number(raw) if isinstance(raw, str) else raw
    if (
        isinstance(depth, bool)
        or not isinstance(depth, int | float)
        or depth not in range(1, DEEPEST_SCAN + 1)
    ):
        raise InvalidInputError(
            f"s3ScanDepth must be a whole number from 1 to {DEEPEST_SCAN}.", field="s3ScanDepth"
        )
    return int(depth) - 1


def _excluded(fields: Mapping[str, Any]) -> tuple[str, ...]:
    raw = fields.get("excludePaths")
    if isinstance(raw, str):
        raw = _listed(raw)
    if raw in (None, ""):
        return ()
    if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
        raise InvalidInputError("excludePaths must be a list of paths.", field="excludePaths")
    if len(raw) > EXCLUDED_AT_MOST:
        raise InvalidInputError(f"excludePaths has more than {EXCLUDED_AT_MOST} paths.", field="excludePaths")
    paths = [posixpath.normpath(item.strip()).strip("/") for item in raw if item.strip()]
    if any(path in ("", ".") or path.startswith("..") for path in paths):
        raise InvalidInputError("excludePaths must lie below the images' prefix.", field="excludePaths")
    return tuple(paths)


def _listed(text: str) -> Any:
    if not text.lstrip().startswith("["):
        return text.split(",")
    try:
        return javascript.parse_json(text)
    except ValueError as error:
        raise InvalidInputError(f"excludePaths is no JSON: {error}", field="excludePaths") from error
