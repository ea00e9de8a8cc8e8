"""Brings an archive from the web into a file of this machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp
from aiohttp import ClientResponse, ClientResponseError, ClientSession
from yarl import URL

from odm_gateway.adapters.intake_fetch import Target
from shared.errors import PermanentError, TransientError
from shared.objects.port import CHUNK_BYTES
from shared.outside import outside_session
from shared.urls import checked_url, shown_url

REDIRECTS_AT_MOST = 5
ANSWER_WITHIN_S = 180.0
"""From the connection to the last of the headers."""
FETCH_AT_MOST_S = 86_400.0
REASON_CHARACTERS = 100
_MAY_PASS = frozenset({429, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_URL = re.compile(r"https?://[^\s'\"<>]+", re.IGNORECASE)


async def fetch_web(url: str, target: Target, *, allow_private: bool) -> None:
    """Fetch an archive from the web, following redirects to places that were checked.

    Raises:
        PermanentError: It cannot be had; a message of the network is told as it is.
        TransientError: The server is busy, or the connection broke in the middle.
    """
    try:
        async with (
            asyncio.timeout(FETCH_AT_MOST_S),
            outside_session(allow_private=allow_private) as session,
        ):
            await _follow(session, url, target)
    except TimeoutError as error:
        raise PermanentError(f"{shown_url(url)} does not come to an end.") from error


async def _follow(session: ClientSession, url: str, target: Target) -> None:
    for _ in range(REDIRECTS_AT_MOST + 1):
        async with _answer(session, url) as answer:
            if answer.status in _REDIRECTS and "Location" in answer.headers:
                url = _next_url(url, answer.headers["Location"])
                continue
            _check_status(answer, url)
            return await _save(answer, url, target)
    raise PermanentError(f"{shown_url(url)}: more than {REDIRECTS_AT_MOST} redirects")


@asynccontextmanager
async def _answer(session: ClientSession, url: str) -> AsyncIterator[ClientResponse]:
    headers = {"Accept-Encoding": "identity"}
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await session.get(
                checked_url(url), headers=headers, allow_redirects=False, auto_decompress=False
            )
    except TimeoutError as error:
        raise PermanentError(f"{shown_url(url)} does not answer.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise PermanentError(f"{shown_url(url)}: {_told(error)}") from error
    async with answer:
        yield answer


def _next_url(url: str, location: str) -> str:
    try:
        return checked_url(str(URL(url).join(URL(location))))
    except ValueError as error:
        raise PermanentError(f"{shown_url(url)} redirects to what is no URL.") from error


def _check_status(answer: ClientResponse, url: str) -> None:
    if answer.status == HTTPStatus.OK:
        if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise PermanentError(f"{shown_url(url)} sends what is packed once more; it must not.")
        return
    message = f"{shown_url(url)} answers {answer.status} {(answer.reason or '')[:REASON_CHARACTERS]}".rstrip()
    raise TransientError(message) if answer.status in _MAY_PASS else PermanentError(message)


async def _save(answer: ClientResponse, url: str, target: Target) -> None:
    await target.fill(_received(answer, url), answer.content_length)


async def _received(answer: ClientResponse, url: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            yield chunk
    except TimeoutError as error:
        raise TransientError(f"{shown_url(url)} fell silent.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise TransientError(f"{shown_url(url)} broke off: {_told(error)}") from error


def _told(error: Exception) -> str:
    """Return what the network says, without what an address may hold of secrets."""
    said = error.message if isinstance(error, ClientResponseError) else str(error)
    return _URL.sub(lambda found: shown_url(found[0]), said) or type(error).__name__
