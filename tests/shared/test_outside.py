import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.errors import InvalidInputError
from shared.outside import is_public, outside_session
from shared.urls import checked_url, shown_url


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="reached")

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://localhost:{request.url.port}/")

    application = web.Application()
    application.router.add_get("/", answer)
    application.router.add_get("/away", away)
    async with TestServer(application, host="0.0.0.0") as server:
        assert server.port
        yield server.port


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1",
     "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "fec0::1",
     "64:ff9b:1::a00:1", "2001::1", "64:ff9b::a00:1", "2002:a00:1::", "2001:db8::1", "no address",
     ""],
)  # fmt: skip
def test_addresses_that_are_not_the_internets_are_told(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0177.0.0.1", "0x7f.1", "0",
     "0x7f000001", "127.0.0.1.", "①②⑦.⓪.⓪.①", "127。0。0。1", "[::1%25lo]", "00127.0.0.1"],
)  # fmt: skip
async def test_loopback_is_refused_however_it_is_written(port: int, host: str) -> None:
    async with outside_session(allow_private=False) as session:
        with pytest.raises((InvalidInputError, ValueError)):
            await session.get(f"http://{host}:{port}/")


async def test_a_redirect_to_an_address_that_is_not_allowed_is_refused(port: int) -> None:
    async with outside_session(
        allow_private=False, is_allowed=lambda address: address == "127.0.0.2"
    ) as session:
        with pytest.raises(InvalidInputError, match="localhost is not a public address"):
            await session.get(f"http://127.0.0.2:{port}/away")


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(port: int) -> None:
    asked: list[str] = []

    def only_at_first(address: str) -> bool:
        asked.append(address)
        return address == "127.0.0.1" and asked.count(address) == 1

    async with (
        outside_session(allow_private=False, is_allowed=only_at_first) as session,
        session.get(f"http://localhost:{port}/") as got,
    ):
        assert await got.text() == "reached"
    assert asked.count("127.0.0.1") == 1


async def test_a_later_look_at_a_name_is_checked_again(port: int) -> None:
    asked: list[str] = []

    def only_at_first(address: str) -> bool:
        asked.append(address)
        return asked.count(address) == 1

    async with outside_session(allow_private=False, is_allowed=only_at_first) as session:
        async with session.get(f"http://localhost:{port}/", headers={"Connection": "close"}) as got:
            assert await got.text() == "reached"
        with pytest.raises(InvalidInputError, match="localhost is not a public address"):
            await session.get(f"http://localhost:{port}/")


async def test_private_addresses_are_reached_where_an_operator_allows_them(port: int) -> None:
    async with (
        outside_session(allow_private=True) as session,
        session.get(f"http://localhost:{port}/") as got,
    ):
        assert await got.text() == "reached"


async def test_a_name_that_does_not_resolve_is_an_error_of_the_network() -> None:
    async with outside_session(allow_private=False) as session:
        with pytest.raises((OSError, socket.gaierror)):
            await session.get("http://no-such-host.invalid/")


@pytest.mark.parametrize("url", ["https://a.org/x.zip", "http://user:pass@a.org:8080/x?y=z"])
def test_urls_of_the_web_are_taken_as_they_are(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url", ["", "ftp://a/b", "http://", "http:///x", "file:///etc/passwd", "http://[::1", "http://a:99999/",
            "http://a/\r\nHost: b", "http://a/" + "x" * 8000]
)  # fmt: skip
def test_anything_else_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        checked_url(url)
    assert len(url) < 8 or url not in str(refused.value)


def test_a_shown_url_has_no_secrets() -> None:
    assert shown_url("https://me:secret@a.org/x.zip?X-Amz-Signature=1#z") == "https://a.org/x.zip"
