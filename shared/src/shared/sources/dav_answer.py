"""What a WebDAV server answers to ``PROPFIND``, taken at its word only where it is one.

A proxy that is down, a login page or a server that gave up half-way answer as well; none of them may look
like an empty folder.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # document types are refused, and expat bounds the rest
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from shared.errors import TransientError

PROPFIND = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop>'
    "<d:resourcetype/><d:getcontentlength/><d:getetag/><d:getlastmodified/><oc:checksums/>"
    "</d:prop></d:propfind>"
)
_DAV = "{DAV:}"
_CHECKSUM = "{http://owncloud.org/ns}checksum"
_SHA256 = re.compile(r"SHA256:([0-9a-fA-F]{64})\b")
_SUCCESS = re.compile(r"HTTP/\d(\.\d)? 2\d\d")


@dataclass(frozen=True, slots=True)
class Resource:
    """One file or folder."""

    path: str
    """Decoded, with a leading slash and none behind."""
    is_folder: bool
    size_bytes: int | None = None
    etag: str = ""
    modified: str = ""
    sha256: str | None = None

    @property
    def token(self) -> str:
        """Return what changes with the content; nothing where the server tells nothing."""
        return self.etag or self.modified


def resources(body: bytes, path: str, where: str) -> tuple[Resource, list[Resource]]:
    """Return the folder itself, or the file, and what lies in it.

    Args:
        body: The answer.
        path: What was asked about, decoded.
        where: The same for people.

    Raises:
        TransientError: This is no answer of a WebDAV server to that question.
    """
    path = _plain(path)
    found = {resource.path: resource for resource in _parsed(body, where)}
    if path not in found:
        raise TransientError(f"{where}: the answer does not speak of what was asked for")
    itself = found.pop(path)
    above = "/" if path == "/" else f"{path}/"
    for other in found:
        if not other.startswith(above) or "/" in other[len(above) :] or other[len(above) :] in (".", ".."):
            raise TransientError(f"{where}: the answer speaks of {other!r}, which does not lie in it")
    return itself, sorted(found.values(), key=lambda resource: resource.path)


def _parsed(body: bytes, where: str) -> Iterator[Resource]:
    try:
        text = body.decode()
        if "<!DOCTYPE" in text:
            raise TransientError(f"{where}: the answer is no WebDAV answer: it has a document type")
        root = ET.fromstring(text)  # noqa: S314 - see above
    except (ET.ParseError, ValueError) as error:
        raise TransientError(f"{where}: the answer is no WebDAV answer, or half of one") from error
    if root.tag != f"{_DAV}multistatus":
        raise TransientError(f"{where}: the answer is no WebDAV answer")
    for response in root.iter(f"{_DAV}response"):
        yield _resource(response, where)


def _resource(response: ET.Element, where: str) -> Resource:
    href = response.findtext(f"{_DAV}href")
    if not href:
        raise TransientError(f"{where}: the answer has an entry without an address")
    path = _plain(unquote(urlsplit(href.strip()).path, errors="surrogateescape"))
    props: dict[str, ET.Element] = {}
    for stat in response.iter(f"{_DAV}propstat"):
        if _SUCCESS.match(stat.findtext(f"{_DAV}status") or ""):
            props |= {prop.tag: prop for group in stat.iter(f"{_DAV}prop") for prop in group}
    kind = props.get(f"{_DAV}resourcetype")
    return Resource(
        path=path,
        is_folder=kind is not None and kind.find(f"{_DAV}collection") is not None,
        size_bytes=_size(_text(props, "getcontentlength")),
        etag=_quoted(_text(props, "getetag")),
        modified=_text(props, "getlastmodified"),
        sha256=_sha256(response),
    )


def _text(props: dict[str, ET.Element], name: str) -> str:
    element = props.get(f"{_DAV}{name}")
    return (element.text or "").strip() if element is not None else ""


def _quoted(etag: str) -> str:
    """Return an ETag as headers have it; some servers leave the quotes out here."""
    return f'"{etag}"' if etag and not etag.startswith(('"', "W/")) else etag


def _size(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else None  # noqa: PLR2004


def _sha256(response: ET.Element) -> str | None:
    for element in response.iter(_CHECKSUM):
        if found := _SHA256.search(element.text or ""):
            return found[1].lower()
    return None


def _plain(path: str) -> str:
    return "/" + path.strip("/")
