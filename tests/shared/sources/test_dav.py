from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.dav.listing import itself_and_within
from shared.dav.multistatus import parsed
from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.settings import PlatformSettings
from shared.sources import Entry, Source, SourceChangedError, open_sources
from tests.shared.sources.places import content, entry_of, settings
from tests.support.dav import dav_server

MULTI = (
    '<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns">{}</d:multistatus>'
)
FOLDER = "<d:resourcetype><d:collection/></d:resourcetype>"
IMAGE = (
    "<d:resourcetype/><d:getcontentlength>3</d:getcontentlength><d:getetag>{}</d:getetag>"
    "<d:getlastmodified>Fri, 20 Nov 2026 12:00:00 GMT</d:getlastmodified>"
)
SHA256 = "ab" * 32


def response(href: str, props: str, status: str = "HTTP/1.1 200 OK") -> str:
    stat = f"<d:propstat><d:prop>{props}</d:prop><d:status>{status}</d:status></d:propstat>"
    return f"<d:response><d:href>{href}</d:href>{stat}</d:response>"


def multi(*responses: str) -> bytes:
    return MULTI.format("".join(responses)).encode()


@asynccontextmanager
async def answering(
    body: bytes, status: str = "207 Multi-Status", headers: str = "", *, length: int | None = None
) -> AsyncIterator[Source]:
    """Run a server that gives the same answer to everything, and a source on it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        told = len(body) if length is None else length
        head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {told}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_sources(PlatformSettings(dav_logins={host: "anna:secret"})) as sources:
            yield await sources.at(f"dav://{host}/flights")


NOT_AN_ANSWER = {
    "empty": b"",
    "a login page": b"<html><body>Please log in</body></html>",
    "no XML": b"<d:multistatus",
    "another document": b"<other/>",
    "nothing in it": multi(),
    "nothing about the folder": multi(response("/flights/a.jpg", IMAGE)),
    "another folder": multi(response("/other/", FOLDER)),
    "a stranger in it": multi(response("/flights/", FOLDER), response("/other/a.jpg", IMAGE)),
    "a deeper one in it": multi(response("/flights/", FOLDER), response("/flights/a/b.jpg", IMAGE)),
    "the folder above": multi(response("/flights/", FOLDER), response("/", FOLDER)),
    "no address": multi(response("", FOLDER)),
    "a document type": b'<!DOCTYPE x [<!ENTITY a "b">]>' + multi(response("/flights/", FOLDER)),
    "no UTF-8": multi(response("/flights/", FOLDER)).replace(b"1.0", b"\xff"),
}


@pytest.mark.parametrize("body", NOT_AN_ANSWER.values(), ids=NOT_AN_ANSWER.keys())
async def test_what_is_no_answer_is_never_an_empty_folder(body: bytes) -> None:
    async with answering(body) as source:
        with pytest.raises(TransientError):
            await source.folder()


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found", "405 Method Not Allowed"])
async def test_another_status_is_never_an_empty_folder(status: str) -> None:
    async with answering(multi(response("/flights/", FOLDER)), status, "Location: /x\r\n") as source:
        with pytest.raises((InvalidInputError, TransientError)):
            await source.folder()


async def test_half_an_answer_is_worth_another_try() -> None:
    body = multi(response("/flights/", FOLDER))
    async with answering(body, length=len(body) + 10) as source:
        with pytest.raises(TransientError):
            await source.folder()


async def test_an_empty_folder_is_one_that_is_told_to_be() -> None:
    async with answering(multi(response("/flights/", FOLDER))) as source:
        folder = await source.folder()

    assert (folder.files, folder.folders, folder.skipped) == ((), (), ())


async def test_addresses_may_be_whole_urls_and_are_decoded_once() -> None:
    body = multi(
        response("http://cloud.example/flights/", FOLDER),
        response("http://cloud.example/flights/50%2525%23.jpg", IMAGE.format("&quot;e&quot;")),
    )
    async with answering(body) as source:
        (entry,) = (await source.folder()).files

    assert (entry.path, entry.size_bytes, entry.token) == ("50%25#.jpg", 3, '"e"')


async def test_what_cannot_be_read_is_told_and_spoils_nothing() -> None:
    body = multi(
        response("/flights/", FOLDER),
        response("/flights/a.jpg", IMAGE.format("W/&quot;weak&quot;")),
        response("/flights/no-size.jpg", "<d:resourcetype/><d:getetag>e</d:getetag>"),
        response("/flights/no-tag.jpg", "<d:resourcetype/><d:getcontentlength>3</d:getcontentlength>"),
        response("/flights/odd.jpg", "<d:resourcetype/><d:getcontentlength>-3</d:getcontentlength>"),
        response("/flights/refused.jpg", IMAGE, "HTTP/1.1 403 Forbidden"),
    )
    async with answering(body) as source:
        folder = await source.folder()

    assert [entry.path for entry in folder.files] == ["a.jpg"]
    assert [item.path for item in folder.skipped] == ["no-size.jpg", "no-tag.jpg", "odd.jpg", "refused.jpg"]


def test_a_checksum_that_the_server_knows_is_taken_over() -> None:
    props = f"{IMAGE}<oc:checksums><oc:checksum>SHA1:00 SHA256:{SHA256} MD5:11</oc:checksum></oc:checksums>"
    answer = parsed(multi(response("/flights/", FOLDER), response("/flights/a.jpg", props)), "x")
    _, (image,) = itself_and_within(answer, "/flights", "x")

    assert image.sha256 == SHA256


async def test_a_file_without_a_strong_etag_is_looked_at_again(tmp_path: Path) -> None:
    with dav_server(tmp_path) as server:
        (tmp_path / "a.jpg").write_bytes(b"one")
        async with open_sources(settings(tmp_path, dav_logins={server.host: server.login})) as sources:
            source = await sources.at(f"dav://{server.host}/")
            listed = await entry_of(source, "a.jpg")
            weak = Entry(listed.path, listed.size_bytes, "Thu, 01 Jan 1970 00:00:00 GMT")
            assert await content(source, listed) == b"one"
            with pytest.raises(SourceChangedError):
                await content(source, weak)


async def test_a_login_never_goes_where_it_does_not_belong(tmp_path: Path) -> None:
    with dav_server(tmp_path) as server:
        name, _, port = server.host.partition(":")
        async with open_sources(settings(tmp_path, dav_logins={name: server.login})) as sources:
            source = await sources.at(f"dav://{server.host}/")  # the login is for port 80 of that host
            with pytest.raises(InvalidInputError, match="not a public address"):
                await source.folder()
        async with open_sources(
            settings(tmp_path, dav_logins={name: server.login}, allow_private_urls=True)
        ) as sources:
            source = await sources.at(f"dav://{name}:{port}/")
            with pytest.raises(InvalidInputError, match="may not be read"):
                await source.folder()


async def test_a_host_without_a_login_must_be_a_public_one() -> None:
    async with open_sources(PlatformSettings()) as sources:
        source = await sources.at("davs://127.0.0.1/flights")
        with pytest.raises(InvalidInputError, match="not a public address"):
            await source.folder()


async def test_a_source_without_encryption_is_refused() -> None:
    async with open_sources(PlatformSettings(dav_logins={"cloud.example.org": "a:b"})) as sources:
        with pytest.raises(InvalidInputError, match="write davs://"):
            await sources.at("dav://cloud.example.org/flights")


@pytest.mark.parametrize(
    "uri", ["davs://", "davs:///flights", "davs://anna:hidden@host/flights", "davs://host/a/../b"]
)
async def test_malformed_uris_are_refused_without_their_password(uri: str) -> None:
    async with open_sources(PlatformSettings()) as sources:
        with pytest.raises(PermanentError) as raised:
            await sources.at(uri)
    assert "hidden" not in str(raised.value)


async def test_the_uri_holds_no_login(tmp_path: Path) -> None:
    with dav_server(tmp_path) as server:
        (tmp_path / "field #7").mkdir()
        async with open_sources(settings(tmp_path, dav_logins={server.host: server.login})) as sources:
            source = await sources.at(f"dav://{server.host}/field #7/")

    assert source.uri == f"dav://{server.host}/field%20%237"
    assert server.login not in f"{source!r}"
