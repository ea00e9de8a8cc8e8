"""A server that gives the same answer to everything, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from pydantic import SecretStr

from shared.dav import Dav, DavPlace, open_dav

FOLDER = "<d:resourcetype><d:collection/></d:resourcetype>"
IMAGE = (
    "<d:resourcetype/><d:getcontentlength>3</d:getcontentlength><d:getetag>&quot;e&quot;</d:getetag>"
    "<d:getlastmodified>Fri, 20 Nov 2026 12:00:00 GMT</d:getlastmodified>"
)
_MULTI = (
    '<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"'
    ' xmlns:nc="http://nextcloud.org/ns">{}</d:multistatus>'
)


def response(href: str, props: str, status: str = "HTTP/1.1 200 OK") -> str:
    """Return what is told of one file or folder."""
    stat = f"<d:propstat><d:prop>{props}</d:prop><d:status>{status}</d:status></d:propstat>"
    return f"<d:response><d:href>{href}</d:href>{stat}</d:response>"


def multi(*responses: str) -> bytes:
    """Return a whole answer to PROPFIND."""
    return _MULTI.format("".join(responses)).encode()


@dataclass
class Canned:
    """The answer, and the requests."""

    body: bytes = b""
    status: str = "207 Multi-Status"
    headers: str = ""
    length: int | None = None
    heads: list[str] = field(default_factory=list)

    def head(self) -> str:
        """Return the answer's head."""
        told = len(self.body) if self.length is None else self.length
        return f"HTTP/1.1 {self.status}\r\nConnection: close\r\nContent-Length: {told}\r\n{self.headers}\r\n"


@asynccontextmanager
async def canned(answer: Canned, path: str = "/dav/", password: str = "secret") -> AsyncIterator[Dav]:
    """Run such a server, and open a place on it."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            answer.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(answer.head().encode() + answer.body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        place = DavPlace(f"http://127.0.0.1:{port}{path}", "anna", SecretStr(password))
        async with open_dav(place) as dav:
            yield dav
