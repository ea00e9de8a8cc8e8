"""Large bodies come and go whole, whatever servers do."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from shared.bulk import Bulk, open_bulk
from shared.errors import InvalidInputError
from shared.outside import guard_of
from tests.shared.bulk.certificates import write_certificate
from tests.shared.bulk.scripted_server import Answer, scripted_server, whole

LARGE = os.urandom((3 << 20) + 7)
HEAD = b"HTTP/1.1 200 OK\r\n"


def anything(_host: str, addresses: Iterable[str]) -> set[str]:
    return set(addresses)


@asynccontextmanager
async def bulk_lane(**options: Any) -> AsyncIterator[Bulk]:
    async with open_bulk(**{"allowed": anything, **options}) as bulk:
        yield bulk


async def got(bulk: Bulk, url: URL, method: str = "GET", pieces: tuple[bytes, ...] = ()) -> bytes:
    content = bytearray()
    async with bulk.exchange(method, url, {}, pieces) as answer:
        while chunk := await answer.read():
            content += chunk
    return bytes(content)


async def test_a_connection_is_used_again_when_its_answer_was_read() -> None:
    async with scripted_server(whole(LARGE), whole(b""), whole(b"x")) as server, bulk_lane() as bulk:
        found = [await got(bulk, server.url) for _ in range(3)]

    assert (found, server.connections) == ([LARGE, b"", b"x"], 1)
    assert server.heads[0].startswith("GET /a%20b?c=d HTTP/1.1\r\n")


async def test_a_connection_is_not_used_again_when_its_answer_was_left() -> None:
    begun = Answer((HEAD + b"Content-Length: 8\r\n\r\nabc",), then_wait=True)
    async with scripted_server(begun, whole(b"x")) as server, bulk_lane() as bulk:
        async with bulk.exchange("GET", server.url, {}) as answer:
            assert answer.content_length == 8
        assert await got(bulk, server.url) == b"x"

    assert server.connections == 2


async def test_a_server_that_hung_up_meanwhile_is_asked_again() -> None:
    async with scripted_server(whole(b"a", then_hang_up=True), whole(b"b")) as server, bulk_lane() as bulk:
        assert await got(bulk, server.url) == b"a"
        await asyncio.sleep(0.05)
        assert await got(bulk, server.url, "PUT", (LARGE,)) == b"b"

    assert (server.connections, server.bodies[-1]) == (2, LARGE)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(
            (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nab", b"cde\r\n2\r\nfg\r\n0\r\n\r\n"), 0.02
        ),
        Answer((HEAD + b"\r\nabc", b"defg"), 0.02, then_hang_up=True),
        Answer((HEAD + b"Content-Length: 7\r\n\r\n", *(b"%c" % letter for letter in b"abcdefg")), 0.005),
        Answer((b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"Content-Length: 7\r\n\r\nabcdefg")),
    ],
    ids=["chunked", "until the end", "drop by drop", "after 100"],
)
async def test_a_body_comes_whole_however_it_is_sent(answer: Answer) -> None:
    async with scripted_server(answer) as server, bulk_lane() as bulk:
        assert await got(bulk, server.url) == b"abcdefg"


@pytest.mark.parametrize(
    "answer",
    [
        Answer((HEAD + b"Content-Length: 8\r\n\r\nabcdefg",), then_hang_up=True),
        Answer((HEAD + b"Transfer-Encoding: chunked\r\n\r\n8\r\nabcdefg",), then_hang_up=True),
        Answer((HEAD + b"Content-Length: 8\r\n\r\nabcdefg",), then_wait=True),
        Answer(then_hang_up=True),
        Answer(then_wait=True),
        Answer((b"220 mail.example ESMTP\r\n",), then_hang_up=True),
        Answer((HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n",), then_hang_up=True),
    ],
    ids=["cut", "cut chunk", "stuck", "no answer", "silent", "no HTTP", "endless header"],
)
async def test_whatever_goes_wrong_is_an_error_of_the_system(answer: Answer) -> None:
    async with scripted_server(answer) as server, bulk_lane(read_s=0.2) as bulk:
        with pytest.raises(OSError, match=r"\w"):
            await got(bulk, server.url)


async def test_a_body_in_pieces_arrives_in_order() -> None:
    pieces = (LARGE, b"", b"x", memoryview(LARGE)[1:5])
    async with scripted_server(whole(b"")) as server, bulk_lane() as bulk:
        exchange = bulk.exchange("PUT", server.url, {"X-A": "b"}, pieces)
        async with exchange as answer:
            assert (answer.status, answer.headers["etag"], answer.content_length) == (200, '"e"', 0)

    assert server.bodies == [b"".join(pieces)]
    assert "X-A: b\r\n" in server.heads[0]


async def test_a_cancelled_exchange_ends_at_once_and_hangs_up() -> None:
    begun = Answer((HEAD + b"Content-Length: 8\r\n\r\nabc",), then_wait=True)
    async with scripted_server(begun, whole(b"x")) as server, bulk_lane(connections=1) as bulk:
        getting = asyncio.create_task(got(bulk, server.url))
        while not server.heads:
            await asyncio.sleep(0.01)
        getting.cancel()
        async with asyncio.timeout(30):
            with pytest.raises(asyncio.CancelledError):
                await getting
            await server.gone.wait()
        assert await got(bulk, server.url) == b"x"


async def test_no_more_connections_than_are_allowed() -> None:
    slow = Answer((HEAD + b"Content-Length: 1\r\n\r\n", b"x"), 0.05)
    async with scripted_server(*[slow] * 6) as server, bulk_lane(connections=2) as bulk:
        assert await asyncio.gather(*(got(bulk, server.url) for _ in range(6))) == [b"x"] * 6

    assert server.connections == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::1]"])
async def test_a_private_address_is_not_connected_to(host: str) -> None:
    guard = guard_of(allow_private=False)
    async with scripted_server() as server, bulk_lane(allowed=guard.allowed) as bulk:
        url = URL(f"http://{host}:{server.url.port}/", encoded=True)
        with pytest.raises(InvalidInputError, match="not a public address"):
            await got(bulk, url)

    assert server.connections == 0


async def test_tls_is_for_those_who_are_trusted(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with scripted_server(whole(LARGE), tls=tls) as server:
        async with bulk_lane() as bulk:
            with pytest.raises(ssl.SSLCertVerificationError):
                await got(bulk, server.url, "PUT", (LARGE,))
        async with bulk_lane(ca_file=str(certificate)) as bulk:
            assert await got(bulk, server.url, "PUT", (LARGE,)) == LARGE

    assert server.bodies == [LARGE]
