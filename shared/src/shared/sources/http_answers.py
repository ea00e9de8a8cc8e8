"""URLs that may be asked, and what the answers of file servers mean."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from yarl import URL

from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.retry_after import read_retry_after
from shared.sources.port import SourceChangedError, SourceForbiddenError
from shared.urls import shown_url


class Answer(Protocol):
    """The head of an answer."""

    @property
    def url(self) -> URL:
        """Return what was asked for."""

    @property
    def status(self) -> int:
        """Return its status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return its headers; case does not matter."""


_MAY_PASS = frozenset({408, 423, 425, 429, 500, 502, 503, 504})
_WEAK = "W/"


def checked(url: URL, *, allow_plain: bool) -> URL:
    """Return a URL that may be asked.

    Raises:
        InvalidInputError: It may not.
    """
    if not url.host or url.scheme not in ("http", "https"):
        raise InvalidInputError(f"{shown(url)}: expected https:// and a host", field="source")
    if url.user or url.password:
        raise InvalidInputError(f"{shown(url)}: a URL of a flight holds no password", field="source")
    if url.scheme == "http" and not allow_plain:
        raise InvalidInputError(
            f"{shown(url)}: only https is read from; an operator can set FLIGHTLINE_ALLOW_PRIVATE_URLS",
            field="source",
        )
    return url


def shown(url: URL) -> str:
    """Return a URL as it may be told."""
    return shown_url(str(url))


def meaning(answer: Answer) -> Exception:
    """Return the error that an unwanted answer is."""
    where, status = shown(answer.url), answer.status
    if status in _MAY_PASS:
        return TransientError(
            f"{where} answers {status}", retry_after=read_retry_after(answer.headers.get("Retry-After"))
        )
    match status:
        case 401 | 403:
            return SourceForbiddenError(f"{where} may not be read with what we log in with ({status})")
        case 404 | 410:
            return NotFoundError(f"there is no {where} ({status})")
        case 412 | 416:
            return SourceChangedError(f"{where} was replaced since it was listed ({status})")
        case _:
            return InvalidInputError(f"{where} answers {status}, which is of no use here", field="source")


def is_strong(token: str) -> bool:
    """Return whether a token is an ETag that changes with every byte."""
    return token.startswith('"') and token.isascii() and token.isprintable()


def is_etag(token: str) -> bool:
    """Return whether a token is an ETag, and not a time."""
    return token.removeprefix(_WEAK).startswith('"')


def token_of(headers: Mapping[str, str], like: str = "") -> str:
    """Return what tells that a file was replaced: its ETag, or else when it was modified.

    Args:
        headers: Of an answer.
        like: Another token; what is returned can be compared with it.
    """
    modified = headers.get("Last-Modified", "")
    return modified if like and not is_etag(like) else headers.get("ETag", "") or modified


def check_same(answer: Answer, token: str, offset_bytes: int) -> None:
    """Look at the answer of a server that may not have looked at our conditions."""
    where = shown(answer.url)
    now = answer.headers.get("ETag" if is_etag(token) else "Last-Modified", "")
    is_comparable = is_etag(token) or token.endswith("GMT")
    if now and is_comparable and now.removeprefix(_WEAK) != token.removeprefix(_WEAK):
        raise SourceChangedError(f"{where} was replaced since it was listed")
    if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise InvalidInputError(
            f"{where} comes packed once more, so that its size says nothing", field="source"
        )
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        span = answer.headers.get("Content-Range", "")
        if not span.startswith(f"bytes {offset_bytes}-"):
            raise TransientError(f"{where} answers with another part than was asked for")
