"""What an answer means that is not the one that was wanted. Needs aiohttp."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus

from aiohttp import ClientError, ClientResponse
from yarl import URL

from shared.dav.errors import ChangedError, FullError, LockedError, RefusedError
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.retry_after import read_retry_after
from shared.urls import shown_url

SAID_WITHIN_S = 5.0
SAID_AT_MOST_BYTES = 8 << 10
SAID_AT_MOST_CHARACTERS = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAY_PASS = frozenset({408, 409, 423, 425, 429})
_NEVER_PASS = frozenset({501, 505})
_HINTS = {
    400: "it does not take that, or not that name",
    413: "too large for the server or a proxy before it, which has a limit of bodies to raise",
}
_SAID = re.compile(rb"<(?:\w+:)?message[^>]*>([^<]+)</")


class NoAnswerError(TransientError):
    """Nobody knows whether the request was carried out."""


def is_page(response: ClientResponse) -> bool:
    """Return whether this is a web page, with which a proxy answers everything."""
    is_html = response.headers.get("Content-Type", "").lower().startswith("text/html")
    return is_html and response.status == HTTPStatus.OK and response.method != "OPTIONS"


async def refused(method: str, response: ClientResponse) -> Exception:
    """Return the error that an unwanted answer is."""
    status, where = response.status, f"{method} {shown(response.url)}"
    if status in _REDIRECTS:
        return _redirected(response, where)
    if status < HTTPStatus.BAD_REQUEST:
        return TransientError(f"{where} answers {status}, as no WebDAV server does: perhaps a proxy")
    said = await _said(response)
    is_trouble = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _NEVER_PASS
    if is_trouble or status in _MAY_PASS:
        return _passing(response, where, said)
    return _lasting(status, where, said)


async def _said(response: ClientResponse) -> str:
    """Return what the server says about it, as Nextcloud does."""
    if "xml" not in response.headers.get("Content-Type", ""):
        return ""
    try:
        async with asyncio.timeout(SAID_WITHIN_S):
            text = await response.content.read(SAID_AT_MOST_BYTES)
    except (ClientError, TimeoutError, OSError):
        return ""
    found = _SAID.search(text)
    said = " ".join(found[1].decode(errors="replace").split()) if found else ""
    return f": {said[:SAID_AT_MOST_CHARACTERS]}" if said.isprintable() and said else ""


def _lasting(status: int, where: str, said: str) -> PermanentError:
    match status:
        case 401:
            return RefusedError(
                f"{where}: user name or password are not accepted (401);"
                " was the password changed, or the app password revoked?",
                is_login=True,
            )
        case 403:
            return RefusedError(f"{where}: forbidden to this user (403){said}")
        case 404 | 410:
            return NotFoundError(f"{where}: there is no such thing ({status})")
        case 412 | 416:
            return ChangedError(f"{where}: what was asked for does not hold any more ({status})")
        case _:
            hint = _HINTS.get(status, "is this the WebDAV address?")
            return InvalidInputError(f"{where} answers {status}{said}; {hint}", field="url")


def _passing(response: ClientResponse, where: str, said: str) -> TransientError:
    retry_after = read_retry_after(response.headers.get("Retry-After"))
    text = f"{where} answers {response.status}{said}"
    match response.status:
        case 423:
            return LockedError(f"{text}: it is locked", retry_after=retry_after)
        case 507:
            return FullError(f"{text}: the server is full, or the quota used up", retry_after=retry_after)
        case _:
            return TransientError(text, retry_after=retry_after)


def _redirected(response: ClientResponse, where: str) -> InvalidInputError:
    try:
        target = response.url.join(URL(response.headers["Location"]))
    except (KeyError, ValueError):
        return InvalidInputError(f"{where} redirects to no address; is this the WebDAV address?", field="url")
    return InvalidInputError(
        f"{where} redirects to {shown(target)}; a login is not sent on, so set that address if it is right",
        field="url",
    )


def shown(url: URL) -> str:
    """Return a URL as it may be told."""
    return shown_url(str(url))
