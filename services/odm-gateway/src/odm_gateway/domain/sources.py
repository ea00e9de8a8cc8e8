"""Files that a client names instead of sending them, and which of them count."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from odm_gateway.domain import javascript
from odm_gateway.domain.callers import Caller
from odm_gateway.domain.choice import EXCLUSIONS_AT_MOST, expanded
from odm_gateway.domain.tasks import Source
from shared.errors import InvalidInputError

DEEPEST_SCAN = 100
PATTERN_AT_MOST_CHARACTERS = 1000
EVERYBODY = "*"
"""Stands for all names where folders are granted."""

_OURS = ("uploads", "products", "jobs")
"""Folders of the object store that hold tasks of everybody …"""
_FLIGHTS = "staging"
"""… and those that are nobody's: anybody may have them processed, unless an operator says otherwise."""


def named_source(fields: Mapping[str, Any]) -> Source | None:
    """Return where a request says that its files lie; both NodeODM's and ScaleODM's fields count.

    Raises:
        InvalidInputError: What it says about them makes no sense.
    """
    if _text(fields, "processingMode") not in ("", "standard"):
        raise InvalidInputError("processingMode can be standard only.", field="processingMode")
    if fields.get("useDefaultExcludes") in ("false", False):
        raise InvalidInputError(
            "Products of earlier runs are never images: useDefaultExcludes stays true.",
            field="useDefaultExcludes",
        )
    zip_uri, s3_uri = _text(fields, "zipurl"), _text(fields, "readS3Path")
    if not (zip_uri or s3_uri):
        return None
    depth = _depth(fields.get("s3ScanDepth"))
    if depth is None and not zip_uri:
        depth = 0  # ScaleODM's default; a bare prefix in zipurl is ours, and means all below it
    return Source(uri=zip_uri or s3_uri, depth=depth, excluded=_excluded(fields))


def wanted_products(fields: Mapping[str, Any]) -> str | None:
    """Return the URI of the prefix that a request wants its products under, if it wants one."""
    return _text(fields, "writeS3Path") or None


def is_web(uri: str) -> bool:
    """Return whether files have to be fetched from the web."""
    return uri.partition("://")[0].lower() in ("http", "https")


def is_archive(uri: str) -> bool:
    """Return whether a URI in the object store names an archive rather than a prefix."""
    return uri.lower().endswith(".zip")


@dataclass(frozen=True, slots=True)
class Folders:
    """Which folders of the object store callers may name; those who see all tasks may name any.

    Others have the folder of their own name, and what an operator grants them.
    """

    granted: tuple[tuple[str, str], ...] = ((EVERYBODY, _FLIGHTS),)
    """Names of callers, and a folder of each to read from and, but for the flights, to write to."""

    def check_readable(self, prefix: str, caller: Caller) -> None:
        """Return if ``caller`` may have the objects at or below ``prefix`` processed.

        Raises:
            InvalidInputError: They may be somebody else's.
        """
        if not prefix:
            raise InvalidInputError("The images must lie in a folder of the object store, not all over it.")
        if not caller.sees_all:
            self._check_own(prefix, caller, "read")

    def check_writable(self, prefix: str, caller: Caller) -> None:
        """Return if ``caller`` may have products stored below ``prefix``.

        Raises:
            InvalidInputError: Something of ours, or of somebody else, lies there.
        """
        if not prefix or _first(prefix) in (*_OURS, _FLIGHTS):
            raise InvalidInputError(
                f"writeS3Path must be a folder of its own, not in {', '.join((*_OURS, _FLIGHTS))}.",
                field="writeS3Path",
            )
        if not caller.sees_all:
            self._check_own(prefix, caller, "written")

    def _check_own(self, prefix: str, caller: Caller, verb: str) -> None:
        if _first(prefix) in _OURS:
            raise InvalidInputError("Files of tasks cannot be processed again from where they lie.")
        theirs = [caller.name, *(folder for name, folder in self.granted if name in (EVERYBODY, caller.name))]
        if not any(folder and f"{prefix}/".startswith(f"{folder.strip('/')}/") for folder in theirs):
            raise InvalidInputError(
                f"{prefix} cannot be {verb} with this token; the folder {caller.name} can, and others that"
                " the operator grants it."
            )


def _first(prefix: str) -> str:
    return prefix.partition("/")[0]


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else ""


def _depth(raw: object) -> int | None:
    """Return how many folders below the prefix count; ScaleODM counts the prefix itself as the first."""
    if raw in (None, "", 0, "0"):
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
    if any(len(item) > PATTERN_AT_MOST_CHARACTERS for item in raw):
        raise InvalidInputError(
            f"excludePaths has a path of more than {PATTERN_AT_MOST_CHARACTERS} characters.",
            field="excludePaths",
        )
    patterns = expanded(item.strip() for item in raw[: EXCLUSIONS_AT_MOST + 1] if item.strip())
    if max(len(raw), len(patterns)) > EXCLUSIONS_AT_MOST:
        raise InvalidInputError(
            f"excludePaths has more than {EXCLUSIONS_AT_MOST} paths.", field="excludePaths"
        )
    paths = [posixpath.normpath(item).strip("/") for item in patterns]
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
