"""Bodies take the short way to S3, and botocore's where that leads nowhere."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.objects.port import ObjectExistsError
from shared.objects.s3 import S3Objects
from shared.objects.s3_body import HashedBody
from shared.objects.s3_client import Server, s3_sender
from shared.objects.s3_send import SMALL_BYTES, Sender
from tests.support.processes import free_port
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from tests.support.strict_s3 import StrictServer

LARGE = os.urandom((1 << 20) + 7)
TARGET = {"Bucket": "bucket", "Key": "a b/ü+~?#.jpg"}


def body_of(content: bytes) -> HashedBody:
    return HashedBody([memoryview(content)], hashlib.sha256(content).hexdigest())


@pytest.fixture
def server() -> StrictServer:
    return StrictServer()


@asynccontextmanager
async def sender_to(server: StrictServer) -> AsyncIterator[Sender]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening, s3_sender(Server(url, REGION, ACCESS_KEY, SECRET_KEY)) as sender:
        yield sender


async def test_a_strict_server_takes_what_goes_the_short_way(server: StrictServer) -> None:
    async with sender_to(server) as sender:
        put = await S3Objects(sender, "bucket", "a b").put(
            "ü+~?#.jpg", LARGE, content_type="image/jpeg", metadata={"wer": "Jörg  B."}, create_only=True
        )

    (head,) = server.heads
    assert server.bodies == [LARGE]
    assert (put.etag, put.size_bytes, put.sha256) == ("e", len(LARGE), head["x-amz-meta-sha256"])
    assert (head["Expect"], head["If-None-Match"], head["Content-Type"]) == (None, "*", "image/jpeg")


async def test_a_strict_server_takes_a_part_the_short_way(server: StrictServer) -> None:
    async with sender_to(server) as sender:
        assert await sender.part(TARGET, "u+/=", 7, body_of(LARGE)) == "e"

    assert server.bodies == [LARGE]
    assert "Expect" not in server.heads[0]


async def test_what_a_busy_server_refused_goes_by_botocore(server: StrictServer) -> None:
    server.busy_answers = 2
    async with sender_to(server) as sender:
        await S3Objects(sender, "bucket", "").put("k", LARGE)

    assert server.bodies == [LARGE] * 3
    assert ["Expect" in head for head in server.heads] == [False, True, True]


async def test_small_bodies_go_by_botocore(server: StrictServer) -> None:
    async with sender_to(server) as sender:
        assert sender.short_way is not None
        await S3Objects(sender, "bucket", "").put("k", bytes(SMALL_BYTES))
        assert await sender.short_way.put(TARGET, body_of(LARGE), {}) is not None

    assert ["amz-sdk-invocation-id" in head for head in server.heads] == [True, False]


async def test_a_wrong_hash_is_refused_on_either_way(server: StrictServer) -> None:
    body = HashedBody([memoryview(LARGE)], hashlib.sha256(b"else").hexdigest())
    async with sender_to(server) as sender:
        assert sender.short_way is not None
        assert await sender.short_way.put(TARGET, body, {}) is None


async def test_where_a_proxy_is_to_be_used_botocore_uses_it(
    server: StrictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    async with sender_to(server) as sender:
        assert sender.short_way is not None
        assert await sender.short_way.put(TARGET, body_of(LARGE), {}) is None

    assert server.heads == []


async def test_a_server_that_is_away_is_left_to_botocore() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    async with s3_sender(Server(nobody, REGION, ACCESS_KEY, SECRET_KEY)) as sender:
        assert sender.short_way is not None
        assert await sender.short_way.put(TARGET, body_of(LARGE), {}) is None


async def test_an_object_that_is_there_is_told_on_either_way(s3: S3Server) -> None:
    async with s3.open(s3.new_bucket(), "in") as objects:
        first = await objects.put("k", LARGE, create_only=True)
        again = await objects.put("k", LARGE, create_only=True)
        with pytest.raises(ObjectExistsError):
            await objects.put("k", LARGE[::-1], create_only=True)

        assert (await objects.read("k"), again.sha256) == (LARGE, first.sha256)
