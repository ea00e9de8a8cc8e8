from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared.errors import NotFoundError, TransientError
from shared.objects.s3_client import Server, s3_client
from shared.sources import Entry, SourceChangedError, SourceForbiddenError, open_sources
from shared.sources.s3 import S3Source
from tests.shared.sources.platform import settings
from tests.shared.sources.test_folder import content, entry_of
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server


@pytest.fixture
async def client(s3: S3Server) -> AsyncIterator[Any]:
    async with s3_client(Server(s3.endpoint_url, REGION, ACCESS_KEY, SECRET_KEY)) as opened:
        yield opened


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


async def put(client: Any, bucket: str, *keys: str, body: bytes = b"image") -> None:
    await asyncio.gather(*(client.put_object(Bucket=bucket, Key=key, Body=body) for key in keys))


async def test_a_prefix_lists_files_and_folders_apart(client: Any, bucket: str) -> None:
    await put(client, bucket, "f/a.jpg", "f/images/b.jpg", "f/images/", "g/c.jpg")
    source = S3Source(client, bucket, "f")

    assert [entry.path for entry in (await source.folder()).files] == ["a.jpg"]
    assert (await source.folder()).folders == ("images",)
    assert [entry.path for entry in (await source.folder("images")).files] == ["images/b.jpg"]


async def test_more_than_a_page_of_keys_is_listed(client: Any, bucket: str) -> None:
    await put(client, bucket, *(f"f/{number:04}.jpg" for number in range(1005)), body=b"")
    listed = (await S3Source(client, bucket, "f").folder()).files

    assert [entry.path for entry in listed] == [f"{number:04}.jpg" for number in range(1005)]


async def test_a_whole_bucket_is_a_source(client: Any, bucket: str) -> None:
    await put(client, bucket, "a.jpg")
    source = S3Source(client, bucket, "")

    assert await content(source, await entry_of(source, "a.jpg")) == b"image"
    assert source.uri == f"s3://{bucket}"


async def test_a_replaced_object_is_noticed(client: Any, bucket: str) -> None:
    await put(client, bucket, "f/a.jpg")
    source = S3Source(client, bucket, "f")
    entry = await entry_of(source, "a.jpg")
    await put(client, bucket, "f/a.jpg", body=b"other")

    with pytest.raises(SourceChangedError, match="replaced"):
        await content(source, entry)


async def test_a_deleted_object_is_noticed(client: Any, bucket: str) -> None:
    await put(client, bucket, "f/a.jpg")
    source = S3Source(client, bucket, "f")
    entry = await entry_of(source, "a.jpg")
    await client.delete_object(Bucket=bucket, Key="f/a.jpg")

    with pytest.raises(SourceChangedError, match="gone"):
        await content(source, entry)


@pytest.mark.parametrize("name", ["test-no-such-bucket", None])
async def test_a_missing_bucket_or_prefix_is_not_found(client: Any, bucket: str, name: str | None) -> None:
    with pytest.raises(NotFoundError, match=f"s3://{name or bucket}/f/"):
        await S3Source(client, name or bucket, "f").folder()


async def test_a_source_is_found_again_by_its_uri(s3: S3Server) -> None:
    async with open_sources(settings(s3=s3)) as sources:
        source = await sources.at("s3://bucket/50% of field #7/a b/")
        again = await sources.at(source.uri)

    assert source.uri == "s3://bucket/50%25%20of%20field%20%237/a%20b"
    assert again.path == source.path == "50% of field #7/a b"


@asynccontextmanager
async def answering(status: str, headers: str, body: bytes) -> AsyncIterator[S3Source]:
    """Run a server that gives the same answer to everything and hangs up, and a source on it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with s3_client(Server(url, REGION, ACCESS_KEY, SECRET_KEY)) as client:
            yield S3Source(client, "bucket", "f")


def refusal(code: str) -> tuple[str, bytes]:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return f"Content-Type: application/xml\r\nContent-Length: {len(body)}", body


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
async def test_refused_access_is_told_as_such(code: str) -> None:
    async with answering("403 Forbidden", *refusal(code)) as source:
        with pytest.raises(SourceForbiddenError, match=code):
            await source.folder()


async def test_an_object_cut_off_on_its_way_is_a_transient_error() -> None:

    headers = 'Content-Type: image/jpeg\r\nContent-Length: 100\r\nETag: "e"'
    async with answering("200 OK", headers, b"half") as source:
        with pytest.raises(TransientError):
            await content(source, Entry("a.jpg", 100, "e"))
