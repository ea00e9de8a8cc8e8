"""Products, whole and in parts."""

import asyncio
import os
from uuid import uuid4

import httpx
import pytest

from tests.odm_gateway.wire_suite.gateways import Node
from tests.odm_gateway.wire_suite.raw import connected, head


async def test_s1_8_assets_are_the_archive_and_single_files(node: Node) -> None:
    uuid = await node.finished()
    for asset in ("all.zip", "orthophoto.tif", "odm_orthophoto/odm_orthophoto.tif", "images.json"):
        answer = await node.http.get(f"/task/{uuid}/download/{asset}")
        assert answer.status_code == 200
        assert len(answer.content) == int(answer.headers["content-length"]) > 0
        assert "json" not in answer.headers["content-type"]  # PyODM would parse it


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_s1_8_headers_say_what_it_is(node: Node, method: str) -> None:
    uuid = await node.finished()
    answer = await node.http.request(method, f"/task/{uuid}/download/all.zip")
    whole = await node.http.get(f"/task/{uuid}/download/all.zip")
    assert answer.headers["content-disposition"] == "attachment; filename=all.zip"
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(whole.content)
    assert answer.content == (whole.content if method == "GET" else b"")


async def test_s1_8_range_by_range_is_the_whole(node: Node) -> None:
    uuid = await node.finished()
    content = os.urandom(16 << 20)
    await node.process.store(f"products/{uuid}/all.zip", content, "application/zip")
    url, size = f"/task/{uuid}/download/all.zip", 1 << 20
    async with node.http.stream("GET", url) as unread:  # as PyODM leaves it
        assert unread.headers["accept-ranges"] == "bytes"
        parts = await asyncio.gather(
            *(
                node.http.get(url, headers={"Range": f"bytes={n * size}-{(n + 1) * size - 1}"})
                for n in range(16)
            )
        )
    assert {part.status_code for part in parts} == {206}
    assert b"".join(part.content for part in parts) == content


@pytest.mark.parametrize(
    ("span", "status"),
    [
        ("bytes=0-0", 206),
        ("bytes=-1", 206),
        ("bytes=5-", 206),
        ("bytes=0-999999999", 206),
        ("bytes=999999999-", 416),
        ("bytes=9-1", 200),
        ("lines=0-1", 200),
        ("bytes=0-1,3-4", 200),
        ("bytes=a-b", 200),
    ],
)
async def test_s1_8_range_is_given_refused_or_ignored(node: Node, span: str, status: int) -> None:
    uuid = await node.finished()
    answer = await node.http.get(f"/task/{uuid}/download/all.zip", headers={"Range": span})
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-range"].startswith("bytes */")


async def test_s1_8_redirects_are_not_made_by_default(node: Node) -> None:
    uuid = await node.finished()
    answer = await node.http.get(f"/task/{uuid}/download/all.zip", follow_redirects=False)
    assert (answer.status_code, answer.history) == (200, [])


@pytest.mark.parametrize("asset", ["all.zip", "orthophoto.tif"])
async def test_s1_8_not_done_is_not_ready(busy: Node, asset: str) -> None:
    uuid = await busy.task(1)
    assert await busy.get(f"/task/{uuid}/download/{asset}") == {"error": "Asset not ready"}


@pytest.mark.parametrize(
    "asset",
    [
        "..%2f..%2fstate.db",
        "%2e%2e/%2e%2e/state.db",
        "odm_orthophoto/../../x",
        "/etc/passwd",
        "x.zip",
        "all.zip/",
    ],
)
async def test_s1_8_assets_lie_nowhere_else(node: Node, asset: str) -> None:
    uuid = await node.finished()
    async with connected(node.process.port) as raw:
        await raw.send(head("GET", f"/task/{uuid}/download/{asset}"))
        answer = await raw.answer()
    assert (answer.status, b"error" in answer.body.lower()) in {(200, True), (404, True)}


async def test_q23_the_archive_is_had_by_its_url_alone(node: Node) -> None:
    uuid = await node.finished()
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.get(f"{node.process.url}/task/{uuid}/download/all.zip")
    assert answer.content[:4] == b"PK\x03\x04"
    assert "set-cookie" not in answer.headers


async def test_s1_8_assets_that_nobody_reads_do_not_hold_up_others(node: Node) -> None:
    uuid = await node.finished(name=uuid4().hex)
    await node.process.store(f"products/{uuid}/all.zip", bytes(64 << 20), "application/zip")
    async with connected(node.process.port) as raw:
        await raw.send(head("GET", f"/task/{uuid}/download/all.zip"))
        async with asyncio.timeout(20):
            assert (await node.info(uuid))["status"] == {"code": 40}
