from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.errors import NotFoundError, TransientError
from shared.objects.open import open_objects
from shared.objects.s3_client import Server, s3_client
from shared.sources import Entry, SourceChangedError, SourceForbiddenError, open_sources
from shared.sources.port import pages
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


async def test_more_than_a_page_of_keys_is_listed() -> None:
    async with full_of_keys(2005) as source:
        listed = (await source.folder()).files

    assert [entry.path for entry in listed] == [f"{number:07}.jpg" for number in range(2005)]


@pytest.mark.long
async def test_a_server_tells_more_than_a_page_of_keys(client: Any, bucket: str) -> None:
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
async def source_on(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[S3Source]:
    """Run a server, and a source on it."""
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with s3_client(Server(url, REGION, ACCESS_KEY, SECRET_KEY)) as client:
            yield S3Source(client, "bucket", "f")


@asynccontextmanager
async def answering(status: str, headers: str, body: bytes) -> AsyncIterator[S3Source]:
    """Run a server that gives the same answer to everything and hangs up, and a source on it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async with source_on(answer) as source:
        yield source


@asynccontextmanager
async def full_of_keys(count: int) -> AsyncIterator[S3Source]:
    """Run a server whose bucket has ``count`` keys directly in ``f/``, and a source on it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while request := await reader.readuntil(b"\r\n\r\n"):
                found = re.search(rb"continuation-token=(\d+)", request)
                body = page_of_keys(int(found[1]) if found else 0, count)
                head = (
                    f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
        writer.close()

    async with source_on(answer) as source:
        yield source


def page_of_keys(start: int, count: int) -> bytes:
    end = min(start + 1000, count)
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{end}</NextContinuationToken>"
    keys = "".join(
        f"<Contents><Key>f/{number:07}.jpg</Key><LastModified>2026-11-20T12:00:00.000Z</LastModified>"
        f"<ETag>&quot;{number:032x}&quot;</ETag><Size>5500000</Size></Contents>"
        for number in range(start, end)
    )
    return (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
        f"{more if end < count else '<IsTruncated>false</IsTruncated>'}{keys}</ListBucketResult>"
    ).encode()


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(20_000, id="20 thousand"),
        pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)], id="a million"),
    ],
)
async def test_memory_does_not_grow_with_the_keys_of_a_folder(count: int) -> None:
    process, listed = psutil.Process(), 0
    async with full_of_keys(count) as source:
        before_bytes = 0
        async for page in pages(source):
            listed += len(page.files)
            before_bytes = before_bytes or (process.memory_info().rss if listed > 5000 else 0)
        grown_bytes = process.memory_info().rss - before_bytes

    assert listed == count
    assert grown_bytes < 30 << 20


async def test_s3_copies_within_itself(s3: S3Server, client: Any, bucket: str) -> None:
    await put(client, bucket, "f/a b#1.jpg")
    source = S3Source(client, bucket, "f")
    entry = await entry_of(source, "a b#1.jpg")
    async with s3.open(s3.new_bucket(), "staging") as objects:
        stored = await source.server_copy(entry, objects, "x/50% ü.jpg")
        assert await objects.read("x/50% ü.jpg") == b"image"

    assert stored is not None
    assert (stored.size_bytes, stored.sha256) == (5, None)


async def test_s3_copies_only_what_was_listed(s3: S3Server, client: Any, bucket: str) -> None:
    await put(client, bucket, "f/a.jpg")
    source = S3Source(client, bucket, "f")
    entry = await entry_of(source, "a.jpg")
    await put(client, bucket, "f/a.jpg", body=b"other")
    async with s3.open(s3.new_bucket()) as objects:
        with pytest.raises(SourceChangedError):
            await source.server_copy(entry, objects, "a.jpg")
        await client.delete_object(Bucket=bucket, Key="f/a.jpg")
        with pytest.raises(SourceChangedError):
            await source.server_copy(entry, objects, "a.jpg")
        assert await objects.stat("a.jpg") is None


async def test_s3_copies_nothing_to_a_disk(client: Any, bucket: str, tmp_path: Path) -> None:
    await put(client, bucket, "f/a.jpg")
    source = S3Source(client, bucket, "f")
    async with open_objects(tmp_path.as_uri()) as objects:
        assert await source.server_copy(await entry_of(source, "a.jpg"), objects, "a.jpg") is None


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
