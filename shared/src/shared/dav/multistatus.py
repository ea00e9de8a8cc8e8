"""What a WebDAV server answers to ``PROPFIND`` and ``REPORT``, read as it comes.

It is taken at its word only where it is one: a proxy that is down, a login page or a server that gave up
half-way answer as well, and none of them may look like an empty folder. Entries are given out as they are
complete, so that memory grows with what is in them and not with the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat  # document types are refused, so nothing can be expanded

from shared.dav.etags import is_weak, quoted, stand_in
from shared.dav.model import Tag
from shared.dav.paths import decoded
from shared.errors import TransientError

_DAV, _OC, _NC = "DAV: ", "http://owncloud.org/ns ", "http://nextcloud.org/ns "
_SHA256 = re.compile(r"SHA256:([0-9a-fA-F]{64})\b", re.IGNORECASE)
_SUCCESS = re.compile(r"HTTP/\d(\.\d)? 2\d\d")
_GONE = re.compile(r"HTTP/\d(\.\d)? (404|410)")
_NUMBER_AT_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Answered:
    """One file, folder or tag, as a server tells of it."""

    path: str
    """Decoded, with a leading slash and none behind."""
    is_folder: bool = False
    size_bytes: int | None = None
    told_etag: str = ""
    """As the server wrote it, weak or strong, perhaps without quotes."""
    modified: str = ""
    sha256: str | None = None
    file_id: int | None = None
    tags: tuple[Tag, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    """Other properties by their names, without a namespace."""
    is_missing: bool = False
    """Whether all that is told of it is that it is not there."""

    @property
    def etag(self) -> str:
        """Return its ETag in the one form, or what stands in for it."""
        return quoted(self.told_etag) or stand_in(self.modified, self.size_bytes)

    @property
    def token(self) -> str:
        """Return what changes with the content, as headers have it; nothing where nothing is told."""
        etag = quoted(self.told_etag)
        return ("W/" if etag and is_weak(self.told_etag) else "") + etag or self.modified


@dataclass
class _Entry:
    path: str = ""
    status: str = ""
    props: dict[str, str] = field(default_factory=dict)
    tags: list[Tag] = field(default_factory=list)
    is_folder: bool = False


@dataclass
class _Group:
    """Properties that share a status; it comes behind them."""

    status: str = ""
    props: dict[str, str] = field(default_factory=dict)
    tags: list[Tag] = field(default_factory=list)
    is_folder: bool = False


class Multistatus:
    """Reads a multi-status document; feed it, then close it."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._depth = 0
        self._entry = _Entry()
        self._group = _Group()
        self._prop = ""
        self._text: list[str] | None = None
        self._tag: Mapping[str, str] = {}
        self._complete: list[Answered] = []
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_document_type
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._parser = parser

    def feed(self, data: bytes) -> list[Answered]:
        """Read on, and return the entries that are complete by now.

        Raises:
            TransientError: This is no answer of a WebDAV server.
        """
        return self._parsed(data, is_last=False)

    def close(self) -> list[Answered]:
        """Return the last entries.

        Raises:
            TransientError: The document is not whole.
        """
        return self._parsed(b"", is_last=True)

    def _parsed(self, data: bytes, *, is_last: bool) -> list[Answered]:
        try:
            self._parser.Parse(data, is_last)
        except (expat.ExpatError, ValueError) as error:
            raise TransientError(f"{self._where}: the answer is no WebDAV answer, or half of one") from error
        complete, self._complete = self._complete, []
        return complete

    def _refuse_document_type(self, *_: object) -> None:
        raise TransientError(f"{self._where}: the answer is no WebDAV answer: it has a document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        match self._depth:
            case 1:
                if name != f"{_DAV}multistatus":
                    raise TransientError(f"{self._where}: the answer is no WebDAV answer")
            case 2:
                self._entry = _Entry()
            case 3:
                self._group = _Group()
                self._text = [] if name in (f"{_DAV}href", f"{_DAV}status") else None
            case 4:
                self._text = [] if name == f"{_DAV}status" else None
            case 5:
                self._prop, self._text = name, []
            case _:
                self._start_within(name, attributes)

    def _start_within(self, name: str, attributes: dict[str, str]) -> None:
        """Read what stands within a property."""
        if name == f"{_DAV}collection" and self._prop == f"{_DAV}resourcetype":
            self._group.is_folder = True
        elif name == f"{_NC}system-tag":
            self._tag, self._text = attributes, []

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, name: str) -> None:
        text = "".join(self._text).strip() if self._text else ""
        match self._depth:
            case 2:
                if name == f"{_DAV}response":
                    self._complete.append(self._answered())
            case 3:
                self._end_of_group(name, text)
                self._text = None
            case 4:
                if name == f"{_DAV}status":
                    self._group.status = text
                self._text = None
            case 5:
                self._group.props.setdefault(name, text)
                self._text = None
            case 6 if name == f"{_NC}system-tag":
                self._end_of_tag()
        self._depth -= 1

    def _end_of_tag(self) -> None:
        name = "".join(self._text or ())
        number = _attribute(self._tag, "id")
        if number.isdecimal() and number.isascii() and len(number) <= _NUMBER_AT_MOST_DIGITS:
            can_assign = _attribute(self._tag, "can-assign") != "false"
            self._group.tags.append(Tag(int(number), name, can_assign))
        self._text = None

    def _end_of_group(self, name: str, text: str) -> None:
        entry, group = self._entry, self._group
        if name == f"{_DAV}href":
            if not text:
                raise TransientError(f"{self._where}: the answer has an entry without an address")
            entry.path = decoded(text)
        elif name == f"{_DAV}status":
            entry.status = text
        elif name == f"{_DAV}propstat" and _SUCCESS.match(group.status):
            entry.props |= group.props
            entry.tags += group.tags
            entry.is_folder |= group.is_folder

    def _answered(self) -> Answered:
        entry = self._entry
        if not entry.path:
            raise TransientError(f"{self._where}: the answer has an entry without an address")
        props = entry.props
        return Answered(
            path=entry.path,
            is_folder=entry.is_folder,
            size_bytes=_number(props.get(f"{_DAV}getcontentlength", "")),
            told_etag=props.get(f"{_DAV}getetag", ""),
            modified=props.get(f"{_DAV}getlastmodified", ""),
            sha256=_sha256(props.get(f"{_OC}checksums", "")),
            file_id=_number(props.get(f"{_OC}fileid", "")),
            tags=tuple(entry.tags),
            texts={name: text for name, text in props.items() if name in _OTHERS and text},
            is_missing=_GONE.match(entry.status) is not None,
        )


ID, DISPLAY_NAME, CAN_ASSIGN = f"{_OC}id", f"{_OC}display-name", f"{_OC}can-assign"
PRINCIPAL = f"{_DAV}current-user-principal"
_OTHERS = frozenset({ID, DISPLAY_NAME, CAN_ASSIGN, PRINCIPAL})


def parsed(body: bytes, where: str) -> list[Answered]:
    """Return all entries of a document.

    Raises:
        TransientError: This is no answer of a WebDAV server.
    """
    document = Multistatus(where)
    return [*document.feed(body), *document.close()]


def _attribute(attributes: Mapping[str, str], name: str) -> str:
    """Return an attribute; Nextcloud gives them a namespace."""
    return attributes.get(_OC + name, attributes.get(name, ""))


def _number(text: str) -> int | None:
    is_number = text.isdecimal() and text.isascii() and len(text) <= _NUMBER_AT_MOST_DIGITS
    return int(text) if is_number else None


def _sha256(text: str) -> str | None:
    found = _SHA256.search(text)
    return found[1].lower() if found else None
