"""``If-Match``, ``If-None-Match`` and ``If``: evaluated before anything else is done, body unread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from flightline.nextcloud_simulator.answers import RefusedError
from flightline.nextcloud_simulator.index import Node

Look = Callable[[str], Node | None]
"""Returns what an address or path of the ``If`` header is about."""

_CONDITION = re.compile(
    r"""(?:<(?P<uri>[^>]*)>\s)?      # of another resource; the space counts
        \(\s*(?P<not>Not\s+)?
        (?:<(?P<token>[^>]*)>)?\s*
        (?:\[(?P<etag>[^\]]*)\])?\s*\)""",
    re.VERBOSE | re.IGNORECASE,
)


def check(headers: Mapping[str, str], node: Node | None, look: Look) -> None:
    """Check whether a request may go on.

    Raises:
        RefusedError: 412.
    """
    _check_match(headers.get("If-Match", ""), node)
    _check_none_match(headers.get("If-None-Match", ""), node)
    if "If" in headers:
        _check_lists(headers["If"], node, look)


def _check_match(value: str, node: Node | None) -> None:
    if not value:
        return
    if node is None:
        raise RefusedError(412, "An If-Match header was specified and the resource did not exist")
    if value.strip() != "*" and node.quoted_etag not in _etags(value):
        raise RefusedError(
            412, "An If-Match header was specified, but none of the specified the ETags matched."
        )


def _check_none_match(value: str, node: Node | None) -> None:
    if not value or node is None:
        return
    if value.strip() == "*" or node.quoted_etag in _etags(value):
        raise RefusedError(
            412, "An If-None-Match header was specified, but the ETag matched (or * was specified)."
        )


def _check_lists(value: str, node: Node | None, look: Look) -> None:
    """Let each resource that is named, or the one that is asked for, fulfil one of its lists."""
    fulfilled: dict[str, bool] = {}
    for uri, is_negated, token, etag in _conditions(value):
        about = look(uri) if uri else node
        is_met = not token and about is not None and etag in ("", about.quoted_etag)
        fulfilled[uri] = fulfilled.get(uri, False) or is_met != is_negated
    if not all(fulfilled.values()):
        raise RefusedError(412, "Condition failed: the If header did not match.")


def _conditions(value: str) -> Iterator[tuple[str, bool, str, str]]:
    uri = ""
    for found in _CONDITION.finditer(value):
        uri = found["uri"] or uri
        yield uri, bool(found["not"]), found["token"] or "", found["etag"] or ""


def _etags(value: str) -> set[str]:
    """Return the ETags of a header; a weak one is none that matches."""
    return {one.strip().replace('\\"', '"') for one in value.split(",")}
