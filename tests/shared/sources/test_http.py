"""Files of web servers come by threads: what goes wrong with them is told as a source tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from yarl import URL

from shared.bulk import open_bulk
from shared.errors import InvalidInputError, TransientError
from shared.outside import guard_of, outside_session
from shared.sources.http import ATTEMPTS, Http, Reach
from shared.sources.pace import Pace
from shared.sources.port import SourceChangedError
from tests.shared.bulk.scripted_server import Answer, scripted_server, whole

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"


@pytest.fixture
async def reach() -> AsyncIterator[Reach]:
    async with (
        outside_session(allow_private=True) as session,
        open_bulk(allowed=guard_of(allow_private=True).allowed, read_s=1) as bulk,
    ):
        yield Reach(session, bulk)


async def read(http: Http, url: URL, offset_bytes: int = 0, token: str = "") -> bytes:
    content = b""
    async with http.file(url, offset_bytes, token) as (_, chunks):
        async for chunk in chunks:
            content += chunk
    return content


async def test_a_body_that_breaks_off_is_told(reach: Reach) -> None:
    async with scripted_server(Answer((HEAD + b"abc",), then_hang_up=True)) as server:
        with pytest.raises(TransientError, match=r"broke off after \d bytes"):
            await read(Http(reach), server.url)


async def test_a_body_that_drips_is_given_up(reach: Reach) -> None:
    drips = Answer((HEAD, b"a", b"b", b"c", b"d", b"e", b"f", b"g"), pause_s=0.15)
    async with scripted_server(drips) as server:
        with pytest.raises(TransientError, match="comes too slowly"):
            await read(Http(reach, pace=Pace(slowest_bytes_per_s=1000, over_s=0.5)), server.url)


async def test_a_server_that_hangs_up_is_asked_a_few_times(reach: Reach) -> None:
    hang_up = Answer(then_hang_up=True)
    async with scripted_server(*[hang_up] * (ATTEMPTS - 1), whole(b"abc")) as server:
        assert await read(Http(reach), server.url) == b"abc"
    async with scripted_server(*[hang_up] * ATTEMPTS) as server:
        with pytest.raises(TransientError, match="out of reach"):
            await read(Http(reach), server.url)

    assert len(server.heads) == ATTEMPTS


async def test_headers_go_along_and_conditions_are_heeded(reach: Reach) -> None:
    async with scripted_server(*[whole(b"", "412 Precondition Failed")] * ATTEMPTS) as server:
        with pytest.raises(SourceChangedError):
            await read(Http(reach, {"Authorization": "Basic eDp5"}), server.url, 3, '"e"')

    head = server.heads[0]
    for line in (
        "Authorization: Basic eDp5",
        'If-Match: "e"',
        "Range: bytes=3-",
        "Accept-Encoding: identity",
    ):
        assert f"{line}\r\n" in head


async def test_a_token_that_is_no_header_is_not_sent(reach: Reach) -> None:
    async with scripted_server(*[whole(b"abc")] * 2) as server:
        for token in ('"a\r\nX: y"', '"漢"'):
            with pytest.raises(SourceChangedError, match="replaced"):
                await read(Http(reach), server.url, token=token)

    assert not any("If-Match" in head or "X: y" in head for head in server.heads)


async def test_a_login_never_follows_a_redirect(reach: Reach) -> None:
    moved = Answer(
        (b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",)
    )
    async with scripted_server(moved) as server:
        with pytest.raises(InvalidInputError, match="302"):
            await read(Http(reach, {"Authorization": "Basic eDp5"}, follows=False), server.url)
