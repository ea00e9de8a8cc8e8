"""Downloads in part: which bytes a client wants, and which answers it gets."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from shared.objects.open import open_objects
from shared.service.downloads import Part, UnsatisfiableRangeError, download, wanted_part

CONTENT = random.Random(20261122).randbytes(3 << 20)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", Part(0, 10)), ("bytes=90-", Part(90, 100)), ("bytes=-5", Part(95, 100)),
        ("bytes=90-1000", Part(90, 100)), ("bytes=-1000", Part(0, 100)),
    ],
)  # fmt: skip
def test_one_range_is_a_part(header: str, part: Part) -> None:
    assert wanted_part(header, 100) == part


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes=-", "bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=a-b", f"bytes=0-{'9' * 5000}"],
)
def test_anything_else_means_the_whole(header: str | None) -> None:
    assert wanted_part(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        wanted_part(header, 100)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to a service that has one object."""
    async with open_objects(tmp_path.as_uri()) as objects:
        await objects.put("a/b.bin", CONTENT)
        app = FastAPI()

        @app.api_route("/b.bin", methods=["GET", "HEAD"])
        async def read(request: Request) -> Response:
            stored = await objects.stat("a/b.bin")
            assert stored is not None
            return download(request, objects, stored, "image/tiff", {"X-More": "yes"})

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://objects.test") as client:
            yield client


async def test_the_whole_says_that_parts_can_be_had(client: httpx.AsyncClient) -> None:
    answer = await client.get("/b.bin")

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["x-more"] == "yes"
    assert answer.headers["content-type"] == "image/tiff"


async def test_a_part_is_206_with_its_place_in_the_whole(client: httpx.AsyncClient) -> None:
    answer = await client.get("/b.bin", headers={"Range": "bytes=1000-1999"})

    assert (answer.status_code, answer.content) == (206, CONTENT[1000:2000])
    assert answer.headers["content-range"] == f"bytes 1000-1999/{len(CONTENT)}"
    assert answer.headers["content-length"] == "1000"


async def test_several_parts_at_once_are_answered_by_the_whole(client: httpx.AsyncClient) -> None:
    answer = await client.get("/b.bin", headers={"Range": "bytes=0-1,5-6"})

    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_a_part_of_what_was_replaced_meanwhile_is_the_whole(client: httpx.AsyncClient) -> None:
    span, tag = {"Range": "bytes=0-9"}, (await client.head("/b.bin")).headers["etag"]
    conditions = {tag: 206, f"W/{tag}": 200, '"another"': 200, "Sun, 22 Nov 2026 00:00:00 GMT": 200}

    statuses = {
        condition: (await client.get("/b.bin", headers={**span, "If-Range": condition})).status_code
        for condition in conditions
    }

    assert statuses == conditions


async def test_a_head_is_about_the_whole(client: httpx.AsyncClient) -> None:
    answer = await client.head("/b.bin", headers={"Range": "bytes=0-9"})

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert "content-range" not in answer.headers


async def test_what_lies_behind_the_end_is_416_with_the_size(client: httpx.AsyncClient) -> None:
    answer = await client.get("/b.bin", headers={"Range": f"bytes={len(CONTENT)}-"})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


async def test_what_a_client_has_is_304_even_where_it_wants_a_part(client: httpx.AsyncClient) -> None:
    tag = (await client.head("/b.bin")).headers["etag"]

    answer = await client.get("/b.bin", headers={"If-None-Match": tag, "Range": "bytes=0-9"})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
