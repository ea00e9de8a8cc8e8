"""What only the store in S3 does: parts, servers that are away, buckets that are not there."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

from shared.errors import NotFoundError, PermanentError, StorageFullError, TransientError
from shared.objects.port import ContentError, ObjectStore
from shared.objects.s3_client import Server, s3_client
from shared.objects.s3_errors import s3_errors
from shared.objects.s3_upload import Upload, copy_parts, multipart
from tests.support.processes import free_port
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server

LARGE = os.urandom(40 << 20)


@pytest.fixture
async def client(s3: S3Server) -> AsyncIterator[Any]:
    async with s3_client(Server(s3.endpoint_url, REGION, ACCESS_KEY, SECRET_KEY)) as opened:
        yield opened


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


@pytest.fixture
async def objects(s3: S3Server, bucket: str) -> AsyncIterator[ObjectStore]:
    async with s3.open(bucket, "in") as opened:
        yield opened


async def stream(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 3 << 20):
        yield content[start : start + (3 << 20)]


async def uploads_left(client: Any, bucket: str) -> list[Any]:
    answer = await client.list_multipart_uploads(Bucket=bucket)
    return list(answer.get("Uploads", []))


async def test_the_hash_of_a_long_stream_is_kept(objects: ObjectStore) -> None:
    put = await objects.put("k", stream(LARGE), content_type="image/tiff", metadata={"a": "1"})

    assert put == await objects.stat("k")
    assert put.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert (put.content_type, put.metadata, put.size_bytes) == ("image/tiff", {"a": "1"}, len(LARGE))


async def test_a_failed_upload_leaves_no_parts(objects: ObjectStore, client: Any, bucket: str) -> None:
    with pytest.raises(ContentError):
        await objects.put("k", stream(LARGE), sha256="0" * 64)

    assert await uploads_left(client, bucket) == []


async def test_a_cancelled_upload_leaves_no_parts(objects: ObjectStore, client: Any, bucket: str) -> None:
    begun = asyncio.Event()

    async def waiting() -> AsyncIterator[bytes]:
        yield LARGE
        begun.set()
        await asyncio.sleep(60)

    putting = asyncio.create_task(objects.put("k", waiting()))
    await begun.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await uploads_left(client, bucket) == []


async def test_a_large_object_is_copied_in_parts(objects: ObjectStore, client: Any, bucket: str) -> None:
    await objects.put("k", LARGE)
    source, upload = {"Bucket": bucket, "Key": "in/k"}, Upload(client, {"Bucket": bucket, "Key": "in/copy"})

    await multipart(
        upload,
        {},
        lambda upload_id: copy_parts(upload, upload_id, source, len(LARGE), {}, part_bytes=16 << 20),
    )

    assert await objects.read("copy") == LARGE


async def test_objects_of_others_are_read_without_a_hash(
    objects: ObjectStore, client: Any, bucket: str
) -> None:
    await client.put_object(Bucket=bucket, Key="in/theirs", Body=b"content")
    await client.put_object(Bucket=bucket, Key="in/folder/", Body=b"")
    await client.put_object(Bucket=bucket, Key="elsewhere", Body=b"")

    assert [(item.key, item.sha256) async for item in objects.list()] == [("theirs", None)]
    assert await objects.read("theirs") == b"content"
    same = await objects.put("theirs", b"content", create_only=True)
    assert same.sha256 == hashlib.sha256(b"content").hexdigest()


async def test_a_copy_of_what_others_wrote_gets_the_hash_that_is_given(
    objects: ObjectStore, client: Any, bucket: str
) -> None:
    theirs = {"ContentType": "image/tiff", "Metadata": {"taken-by": "them"}}
    await client.put_object(Bucket=bucket, Key="in/theirs", Body=b"content", **theirs)
    digest = hashlib.sha256(b"content").hexdigest()

    assert (await objects.copy("theirs", "untold")).sha256 is None
    assert (await objects.copy("theirs", "theirs", sha256=digest.upper())).sha256 == digest
    copied = await objects.copy("theirs", "ours")
    assert (copied.sha256, copied.content_type, copied.metadata) == (
        digest, "image/tiff", {"taken-by": "them"},
    )  # fmt: skip


async def test_a_damaged_object_is_not_downloaded(
    objects: ObjectStore, client: Any, bucket: str, tmp_path: Any
) -> None:
    metadata = {"sha256": hashlib.sha256(b"content").hexdigest()}
    await client.put_object(Bucket=bucket, Key="in/k", Body=b"cOntent", Metadata=metadata)

    with pytest.raises(ContentError):
        await objects.download("k", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


async def test_a_signed_url_can_be_read_by_anybody(objects: ObjectStore) -> None:
    await objects.put("a b/ü", b"content")
    url = await objects.presign("a b/ü", expires=timedelta(minutes=1))

    assert await asyncio.to_thread(lambda: urlopen(url, timeout=10).read()) == b"content"


async def test_a_missing_bucket_is_told(s3: S3Server) -> None:
    async with s3.open("absent") as objects:
        with pytest.raises(PermanentError, match="no such bucket"):
            await objects.put("k", b"x")
        with pytest.raises(PermanentError, match="no such bucket"):
            await objects.ping()
        with pytest.raises(PermanentError, match="no such bucket"):
            await objects.read("k")


@pytest.mark.long  # five attempts, further and further apart
async def test_a_server_that_is_away_is_told() -> None:
    async with S3Server(f"http://127.0.0.1:{free_port()}").open("bucket") as objects:
        with pytest.raises(TransientError, match="out of reach"):
            await objects.ping()


class Answering:
    """An HTTP server that answers every request alike, and may break off."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and hang up."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def xml(status: str, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>told</Message></Error>"
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


TRUNCATED = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: x\r\n"
    b"Last-Modified: Fri, 20 Nov 2026 12:00:00 GMT\r\n\r\nabc"
)


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (xml("403 Forbidden", "AccessDenied"), PermanentError, "check access key"),
        (xml("404 Not Found", "NoSuchKey"), NotFoundError, "no object"),
        (xml("507 Insufficient", "XMinioStorageFull"), StorageFullError, "no space left"),
        (TRUNCATED, TransientError, "out of reach"),
        pytest.param(xml("503 Slow", "SlowDown"), TransientError, "busy", marks=pytest.mark.long),
    ],
    ids=["403", "404", "507", "truncated", "503"],
)
async def test_what_the_server_answers_is_told(answer: bytes, error: type[Exception], told: str) -> None:
    server = await asyncio.start_server(Answering(answer).serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, S3Server(f"http://127.0.0.1:{port}").open("bucket") as objects:
        with pytest.raises(error, match=told):
            await objects.read("k")


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (429, ""), (400, "RequestTimeout")]
)
def test_a_busy_server_may_answer_later(status: int, code: str) -> None:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}

    with pytest.raises(TransientError, match="busy"), s3_errors("k"):
        raise ClientError(answer, "GetObject")


def test_a_condition_that_does_not_hold_any_more_may_hold_later() -> None:
    answer = {"Error": {"Code": "PreconditionFailed"}, "ResponseMetadata": {"HTTPStatusCode": 412}}

    with pytest.raises(TransientError, match="somebody was faster"), s3_errors("k"):
        raise ClientError(answer, "CopyObject")
