"""What ``PROPFIND`` and ``REPORT`` tell about files, folders and tags."""

from __future__ import annotations

import mimetypes
import xml.etree.ElementTree as ET  # of clients; expat bounds what entities may grow to
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TypeVar
from xml.sax.saxutils import escape, quoteattr

from flightline.nextcloud_simulator.answers import RefusedError
from flightline.nextcloud_simulator.index import Node, Tag
from flightline.nextcloud_simulator.names import href

T = TypeVar("T")

DAV, OC, NC = "{DAV:}", "{http://owncloud.org/ns}", "{http://nextcloud.org/ns}"
INSTANCE = "ocsimulated1"
"""Behind the id of every file in ``oc:id``."""
_PREFIXES = {DAV: "d:", OC: "oc:", NC: "nc:"}
_ALL = tuple(
    DAV + name
    for name in ("getlastmodified", "getcontentlength", "resourcetype", "getetag", "getcontenttype")
)
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A file or folder as an answer shows it."""

    node: Node
    tags: Sequence[Tag] | None
    """None: the address does not tell them."""
    used_bytes: int = 0
    """Of the whole home; told for folders."""


def asked(body: bytes) -> tuple[str, ...]:
    """Return the properties that a ``PROPFIND`` asks for.

    Raises:
        RefusedError: The body is none.
    """
    if not body.strip():
        return _ALL
    root = parsed(body)
    if root.tag != f"{DAV}propfind":
        raise RefusedError(400, f"The root element of the request is {root.tag}")
    return properties_in(root) or _ALL


def parsed(body: bytes) -> ET.Element:
    """Return a request's XML.

    Raises:
        RefusedError: It is none.
    """
    try:
        return ET.fromstring(body)  # noqa: S314 - see above
    except (ET.ParseError, ValueError) as error:
        raise RefusedError(400, f"The request is no well-formed XML: {error}") from error


def properties_in(root: ET.Element) -> tuple[str, ...]:
    """Return the names in the first ``d:prop`` below ``root``."""
    found = root.find(f"{DAV}prop")
    return tuple(element.tag for element in found) if found is not None else ()


def file_response(base: str, shown: Shown, names: Iterable[str]) -> str:
    """Return the ``d:response`` of a file or folder, whose home is at ``base``."""
    node = shown.node
    path = f"{base}/{node.path}" + ("/" if node.is_folder and node.path else "")
    return _response(href(path), names, _FILE_PROPERTIES, shown)


def tag_response(base: str, tag: Tag, names: Iterable[str]) -> str:
    """Return the ``d:response`` of a tag in a list of tags at ``base``."""
    return _response(f"{base}/{tag.id}", names, _TAG_PROPERTIES, tag)


def collection_response(path: str, names: Iterable[str]) -> str:
    """Return the ``d:response`` of a list of tags itself."""
    return _response(path, names, {f"{DAV}resourcetype": lambda _: "<d:collection/>"}, None)


def modified(node: Node) -> str:
    """Return when a file was changed, as headers have it."""
    moment = datetime.fromtimestamp(node.mtime_ns // _NS_PER_S, UTC)
    return format_datetime(moment, usegmt=True)


def _response(
    address: str, names: Iterable[str], known: Mapping[str, Callable[[T], str | None]], of: T
) -> str:
    """Return one element; what has no value is told to be missing."""
    found, missing = [], []
    for name in names:
        tell = known.get(name)
        value = tell(of) if tell else None
        if value is None:
            missing.append(_element(name, ""))
        else:
            found.append(_element(name, value))
    stats = (
        f"<d:propstat><d:prop>{''.join(elements)}</d:prop><d:status>HTTP/1.1 {status}</d:status></d:propstat>"
        for elements, status in ((found, "200 OK"), (missing, "404 Not Found"))
        if elements
    )
    return f"<d:response><d:href>{escape(address)}</d:href>{''.join(stats)}</d:response>"


def _element(name: str, content: str) -> str:
    namespace, _, local = name.rpartition("}")
    prefix = _PREFIXES.get(f"{namespace}}}")
    if prefix is None:
        return f"<x1:{local} xmlns:x1={quoteattr(namespace[1:])}>{content}</x1:{local}>"
    return f"<{prefix}{local}>{content}</{prefix}{local}>" if content else f"<{prefix}{local}/>"


def _kind(shown: Shown) -> str:
    return "<d:collection/>" if shown.node.is_folder else ""


def _length(shown: Shown) -> str | None:
    return None if shown.node.is_folder else str(shown.node.size_bytes)


def _content_type(shown: Shown) -> str | None:
    if shown.node.is_folder:
        return None
    return mimetypes.guess_type(shown.node.name)[0] or "application/octet-stream"


def _checksums(shown: Shown) -> str | None:
    checksum = shown.node.checksum
    return f"<oc:checksum>{escape(checksum)}</oc:checksum>" if checksum else None


def _permissions(shown: Shown) -> str:
    return "RGDNVCK" if shown.node.is_folder else "RGDNVW"


def _size(shown: Shown) -> str:
    return str(shown.used_bytes if shown.node.is_folder else shown.node.size_bytes)


def _system_tags(shown: Shown) -> str | None:
    if shown.tags is None:
        return None
    return "".join(
        f'<nc:system-tag oc:can-assign="{_word(tag.is_assignable)}" oc:id="{tag.id}"'
        f' oc:user-assignable="{_word(tag.is_assignable)}" oc:user-visible="{_word(tag.is_visible)}">'
        f"{escape(tag.name)}</nc:system-tag>"
        for tag in shown.tags
    )


def _word(value: bool) -> str:
    return "true" if value else "false"


_FILE_PROPERTIES: dict[str, Callable[[Shown], str | None]] = {
    f"{DAV}resourcetype": _kind,
    f"{DAV}getcontentlength": _length,
    f"{DAV}getetag": lambda shown: escape(shown.node.quoted_etag, {'"': "&quot;"}),
    f"{DAV}getlastmodified": lambda shown: modified(shown.node),
    f"{DAV}getcontenttype": _content_type,
    f"{DAV}displayname": lambda shown: escape(shown.node.name),
    f"{OC}fileid": lambda shown: str(shown.node.id),
    f"{OC}id": lambda shown: f"{shown.node.id:08d}{INSTANCE}",
    f"{OC}size": _size,
    f"{OC}permissions": _permissions,
    f"{OC}checksums": _checksums,
    f"{NC}system-tags": _system_tags,
}
_TAG_PROPERTIES: dict[str, Callable[[Tag], str | None]] = {
    f"{DAV}resourcetype": lambda _: "",
    f"{OC}id": lambda tag: str(tag.id),
    f"{OC}display-name": lambda tag: escape(tag.name),
    f"{OC}user-visible": lambda tag: _word(tag.is_visible),
    f"{OC}user-assignable": lambda tag: _word(tag.is_assignable),
    f"{OC}can-assign": lambda tag: _word(tag.is_assignable),
}
