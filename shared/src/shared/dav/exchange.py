"""Requests to one WebDAV server, and what its answers mean. Needs aiohttp: loaded when a server is opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from aiohttp import (
    ClientConnectorCertificateError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    CookieJar,
    TCPConnector,
)
from yarl import URL

from shared.dav.meaning import NoAnswerError, is_page, refused, shown
from shared.dav.multistatus import Answered, Multistatus
from shared.dav.paths import confined, encoded
from shared.dav.place import DavPlace
from shared.dav.upload import Upload
from shared.errors import InvalidInputError, PermanentError
from shared.sources.pace import Pace, paced
from shared.tracing.calls import watched

CONNECT_WITHIN_S = 15.0
ANSWER_WITHIN_S = 120.0
DOCUMENT_AT_MOST_BYTES = 64 << 20
SMALL_BODY_AT_MOST_BYTES = 64 << 10
MULTI_STATUS: Final = 207
_XML = {"Content-Type": "application/xml; charset=utf-8"}
_ALWAYS = {"Accept-Encoding": "identity", "User-Agent": "flightline"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is of no interest."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A session with the server of a place."""

    session: ClientSession
    place: DavPlace
    pace: Pace = field(default_factory=Pace)

    def url(self, path: str, *, is_folder: bool = False) -> URL:
        """Return the address of a path below the place.

        Raises:
            InvalidInputError: The path leads elsewhere.
        """
        slash = "/" if is_folder and path else ""
        return URL(f"{self.place.url}{encoded(confined(path))}{slash}", encoded=True)

    @asynccontextmanager
    async def asking(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str] | None = None,
        data: bytes | Upload | None = None,
    ) -> AsyncIterator[ClientResponse]:
        """Send a request and give out its answer, whatever it is.

        Raises:
            TransientError: There is none.
            InvalidInputError: The server's certificate is not to be trusted.
        """
        asked = self.session.request(
            method,
            url,
            headers={**_ALWAYS, **(headers or {})},
            data=data,
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),
        )
        try:
            response = await asked
        except ClientConnectorCertificateError as error:
            raise InvalidInputError(f"{shown(url)}: {error.certificate_error}", field="url") from error
        except (ClientError, TimeoutError, OSError) as error:
            raise NoAnswerError(f"{shown(url)} is out of reach ({type(error).__name__})") from error
        if response.status == HTTPStatus.UNAUTHORIZED:
            self.session.cookie_jar.clear()  # perhaps its session is over: next time the login alone counts
        async with response:
            yield response

    async def answer(
        self,
        method: str,
        url: URL,
        *wanted: int,
        headers: Mapping[str, str] | None = None,
        data: bytes | Upload | None = None,
    ) -> Answer:
        """Send a request and return its answer if it has one of the ``wanted`` statuses.

        Raises:
            Exception: What another answer means.
        """
        async with self.asking(method, url, headers, data) as response:
            if response.status not in wanted or is_page(response):
                raise await refused(method, response)
            await _drained(response)
            return Answer(response.status, response.headers.copy())

    async def entries(self, method: str, url: URL, question: bytes, *, depth: int = 0) -> list[Answered]:
        """Ask for properties and return what is told, read as it comes.

        Raises:
            Exception: What an answer that is none means.
        """
        for attempt in range(2):
            try:
                return await self._entries(method, url, question, depth)
            except NoAnswerError:
                if attempt:  # the first may have met a connection that the server was just closing
                    raise
        raise AssertionError

    async def _entries(self, method: str, url: URL, question: bytes, depth: int) -> list[Answered]:
        headers = {**_XML, "Depth": str(depth)}
        async with self.asking(method, url, headers, question) as response:
            if response.status != MULTI_STATUS:
                raise await refused(method, response)
            document, found, size_bytes = Multistatus(shown(url)), [], 0
            async for chunk in paced(response.content.readany, shown(url), self.pace):
                size_bytes += len(chunk)
                if size_bytes > DOCUMENT_AT_MOST_BYTES:
                    raise PermanentError(
                        f"{shown(url)} answers with more than {DOCUMENT_AT_MOST_BYTES} bytes"
                    )
                found += document.feed(chunk)
            return found + document.close()


async def _drained(response: ClientResponse) -> None:
    """Read the rest of a small body, so that its connection can be used again."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            left_bytes = SMALL_BODY_AT_MOST_BYTES
            while left_bytes > 0 and (chunk := await response.content.readany()):
                left_bytes -= len(chunk)
    except (ClientError, TimeoutError, OSError):
        response.close()


@asynccontextmanager
async def open_exchange(place: DavPlace, connections: int) -> AsyncIterator[Exchange]:
    """Open a session: the login goes along with every request, and cookies are kept.

    On Nextcloud an app password with its session's cookie is by far the cheapest way to be known.
    """
    headers = {"Authorization": place.authorization} if place.authorization else {}
    async with ClientSession(
        connector=TCPConnector(limit=connections),
        cookie_jar=CookieJar(unsafe=True),  # hosts that are addresses have cookies, too
        timeout=ClientTimeout(total=None, sock_connect=CONNECT_WITHIN_S, sock_read=ANSWER_WITHIN_S),
        headers=headers,
        auto_decompress=False,
        middlewares=(watched("webdav"),),
    ) as session:
        yield Exchange(session, place)
