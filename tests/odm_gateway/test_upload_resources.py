"""What uploads need of the machine: little memory at any size, and word of it when the disk is full."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from odm_gateway.adapters.upload_shelf import FULL
from tests.support.gateway import running_gateway
from tests.support.processes import free_port
from tests.support.small_disk import CannotMountError, small_disk
from tests.support.uploading import BOUNDARY, commit, contents, form, init, part, stored_keys, upload

FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
MIB = 1 << 20


@asynccontextmanager
async def gateway_process(home: Path) -> AsyncIterator[tuple[psutil.Process, httpx.AsyncClient]]:
    port = free_port()
    ours = {"FLIGHTLINE_HOME": str(home), "ODM_GATEWAY_ENGINE": "simulate", "ODM_GATEWAY_PORT": str(port)}
    command = str(Path(sys.executable).with_name("odm-gateway"))
    process = await asyncio.create_subprocess_exec(command, env={**os.environ, **ours})
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            async with asyncio.timeout(60):
                while not await answers(client):
                    await asyncio.sleep(0.1)
            yield psutil.Process(process.pid), client
    finally:
        process.terminate()
        await process.wait()


async def answers(client: httpx.AsyncClient) -> bool:
    with suppress(httpx.TransportError):
        return (await client.get("/info")).is_success
    return False


async def large_form(size_bytes: int, files: int = 1) -> AsyncIterator[bytes]:
    chunk = os.urandom(MIB)
    for number in range(files):
        yield part("images", b"", f"{number}.tif")[:-2]
        for _ in range(size_bytes // MIB):
            yield chunk
        yield b"\r\n"
    yield form()


async def peak_bytes(process: psutil.Process, work: asyncio.Task[httpx.Response]) -> int:
    peak = 0
    while not work.done():
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0.02)
    assert "error" not in work.result().json(), work.result().text
    return peak


@pytest.mark.parametrize(("path", "files"), [("/task/new", 1), ("/task/new", 4), ("UPLOAD", 1)])
async def test_memory_does_not_grow_with_a_file(tmp_path: Path, path: str, files: int) -> None:
    async with gateway_process(tmp_path / "home") as (process, client):
        if path == "UPLOAD":
            begun = await client.post("/task/new/init", files={"name": (None, "a")})
            path = f"/task/new/upload/{begun.json()['uuid']}"
        await client.post("/task/new", content=large_form(MIB), headers=FORM)  # whatever is loaded late
        before = process.memory_info().rss
        sending = client.post(path, content=large_form(240 * MIB // files, files), headers=FORM)
        assert await peak_bytes(process, asyncio.ensure_future(sending)) - before < 60 * MIB


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
