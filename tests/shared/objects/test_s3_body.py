"""The hash that a body brings along is the one that is signed, sent and verified."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.objects.s3 import S3Objects
from shared.objects.s3_body import HashedBody
from shared.objects.s3_client import Server, s3_client
from shared.objects.s3_send import Sender
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY
from tests.support.strict_s3 import StrictServer

LARGE = os.urandom((3 << 20) + 7)


@pytest.fixture
def server() -> StrictServer:
    return StrictServer()


@pytest.fixture
async def client(server: StrictServer) -> AsyncIterator[Any]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening, s3_client(Server(url, REGION, ACCESS_KEY, SECRET_KEY)) as opened:
        yield opened


async def stream(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 300_000):
        yield content[start : start + 300_000]


@pytest.mark.parametrize("content", [b"", b"abc", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("kind", ["bytes", "stream", "path"])
async def test_a_strict_server_takes_what_is_put(
    server: StrictServer, client: Any, tmp_path: Path, content: bytes, kind: str
) -> None:
    (tmp_path / "given").write_bytes(content)
    given = {"bytes": content, "stream": stream(content), "path": tmp_path / "given"}[kind]

    put = await S3Objects(Sender(client), "bucket", "a b").put("ü", given)  # type: ignore[arg-type]

    assert server.bodies == [content]
    assert put.sha256 == hashlib.sha256(content).hexdigest() == server.heads[0]["x-amz-meta-sha256"]


async def test_a_strict_server_takes_a_part(server: StrictServer, client: Any) -> None:
    body = HashedBody([memoryview(LARGE)], hashlib.sha256(LARGE).hexdigest())

    await client.upload_part(Bucket="bucket", Key="k", UploadId="u", PartNumber=1, Body=body)

    assert server.bodies == [LARGE]


@pytest.mark.parametrize("part", [{}, {"UploadId": "u", "PartNumber": 1}], ids=["whole", "part"])
async def test_a_wrong_hash_is_refused(client: Any, part: dict[str, Any]) -> None:
    body = HashedBody([memoryview(LARGE)], hashlib.sha256(b"else").hexdigest())
    send = client.upload_part if part else client.put_object

    with pytest.raises(ClientError, match="400"):
        await send(Bucket="bucket", Key="k", Body=body, **part)


async def test_a_repeated_request_sends_all_again(server: StrictServer, client: Any) -> None:
    server.busy_answers = 1

    await S3Objects(Sender(client), "bucket", "").put("k", LARGE)

    assert server.bodies == [LARGE, LARGE]


async def test_only_large_bodies_are_announced(server: StrictServer, client: Any) -> None:
    await S3Objects(Sender(client), "bucket", "").put("k", b"small")
    await S3Objects(Sender(client), "bucket", "").put("k", LARGE)

    assert ["Expect" in head for head in server.heads] == [False, True]


def test_a_hashed_body_is_read_like_a_file() -> None:
    body = HashedBody([memoryview(b"0123456789")], "")

    assert [bytes(body.read(4)), bytes(body.read()), bytes(body.read(4))] == [b"0123", b"456789", b""]
    assert (body.tell(), body.seek(8), bytes(body.read()), len(body)) == (10, 8, b"89", 10)
