"""What uploads need of the machine: little memory at any size, and word of it when the disk is full."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from odm_gateway.adapters.room import FULL
from tests.support.gateway import running_gateway
from tests.support.gateway_server import GatewayServer
from tests.support.small_disk import CannotMountError, small_disk
from tests.support.uploading import BOUNDARY, commit, contents, form, init, part, stored_keys, upload
from tests.support.zygote import Zygote

FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
MIB = 1 << 20


async def large_form(size_bytes: int, files: int = 1) -> AsyncIterator[bytes]:
    chunk = os.urandom(MIB)
    for number in range(files):
        yield part("images", b"", f"{number}.tif")[:-2]
        for _ in range(size_bytes // MIB):
            yield chunk
        yield b"\r\n"
    yield form()


async def peak_bytes(process: psutil.Process, *requests: Coroutine[Any, Any, httpx.Response]) -> int:
    """Return the most memory that the process has while it answers."""
    peak = 0
    work = asyncio.ensure_future(asyncio.gather(*requests))
    while not work.done():
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0.02)
    assert all("error" not in answer.json() for answer in work.result()), work.result()
    return peak


async def begun(client: httpx.AsyncClient) -> str:
    answer = await client.post("/task/new/init", files={"name": (None, "a")})
    return f"/task/new/upload/{answer.json()['uuid']}"


@pytest.mark.parametrize("size_mib", [100, pytest.param(800, marks=pytest.mark.long)])
@pytest.mark.parametrize(("path", "files"), [("/task/new", 1), ("/task/new", 4), ("UPLOAD", 1)])
async def test_memory_does_not_grow_with_a_file(
    forking: Zygote, tmp_path: Path, path: str, files: int, size_mib: int
) -> None:
    async with GatewayServer(forking, tmp_path / "home").running() as server:
        http = server.http
        path = await begun(http) if path == "UPLOAD" else path
        await http.post("/task/new", content=large_form(MIB), headers=FORM)  # whatever is loaded late
        before = server.process.memory_info().rss
        sending = http.post(path, content=large_form(size_mib * MIB // files, files), headers=FORM)
        assert await peak_bytes(server.process, sending) - before < 60 * MIB


@pytest.mark.parametrize("at_once", [16, pytest.param(80, marks=pytest.mark.long)])
async def test_memory_does_not_grow_with_the_number_of_clients(
    forking: Zygote, tmp_path: Path, at_once: int
) -> None:
    async with GatewayServer(forking, tmp_path / "home").running() as server:
        path = await begun(server.http)
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.http.base_url, timeout=110, limits=limits) as http:
            sending = [http.post(path, content=large_form(12 * MIB), headers=FORM) for _ in range(at_once)]
            assert await peak_bytes(server.process, *sending) < 260 * MIB


@pytest.fixture
def full_soon(tmp_path: Path) -> Iterator[Path]:
    try:
        with small_disk(tmp_path / "disk", 24 * MIB) as folder:
            yield folder
    except CannotMountError as error:
        pytest.skip(f"needs to mount a small disk: {error}")


async def test_a_full_disk_is_told_and_spoils_nothing(full_soon: Path) -> None:
    async with running_gateway(full_soon) as client:
        uuid = await init(client)
        assert await upload(client, uuid, "a.jpg") == {"success": True}
        assert await upload(client, uuid, "large.jpg", content=os.urandom(40 * MIB)) == {"error": FULL}
        answer = await client.http.post("/task/new", content=large_form(40 * MIB), headers=FORM)
        assert (answer.status_code, answer.json()) == (200, {"error": FULL})
        assert await upload(client, uuid, "b.jpg") == {"success": True}
        await commit(client, uuid)
        assert set(await contents(client, uuid)) == {"a.jpg", "b.jpg"}
        assert len(await stored_keys(client)) == 3
