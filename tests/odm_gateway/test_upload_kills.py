"""``kill -9`` of the gateway while something comes in: what clients then repeat leads to one whole task."""

import asyncio
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.support.archives import archive
from tests.support.gateway_server import GatewayServer, RunningServer
from tests.support.web_archives import serving
from tests.support.zygote import Zygote

MIB = 1 << 20
FAILED = 30
FILES = {f"{number}.jpg": os.urandom(MIB) for number in range(8)}


async def posted(server: RunningServer, path: str, **more: Any) -> Any:
    """Return the answer, or None where the gateway died before it."""
    with suppress(httpx.TransportError):
        return (await server.http.post(path, **more)).json()
    return None


async def sent(server: RunningServer, uuid: str) -> list[Any]:
    """Upload all files at once and return the answers."""
    uploads = [
        posted(server, f"/task/new/upload/{uuid}", files={"images": (name, content)})
        for name, content in FILES.items()
    ]
    return await asyncio.gather(*uploads)


async def finished(server: RunningServer, uuid: str) -> Any:
    async with asyncio.timeout(60):
        while (info := (await server.http.get(f"/task/{uuid}/info")).json())["status"]["code"] < FAILED:
            await asyncio.sleep(0.1)
    return info


def stored_files(home: Path) -> list[bytes]:
    """Return the contents of everything below ``uploads/`` but the manifests."""
    found = [path for path in (home / "objects" / "uploads+").rglob("*") if path.is_file()]
    return [path.read_bytes() for path in found if path.suffix == ".jpg" and not path.name.startswith(".")]


async def killed_after(server: RunningServer, seconds: float, work: asyncio.Task[Any]) -> Any:
    await asyncio.sleep(seconds)
    server.kill()
    return await work


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 6))])
async def test_an_upload_goes_on_after_its_gateway_was_killed(
    forking: Zygote, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    gateway = GatewayServer(forking, tmp_path / "home")
    async with gateway.running() as server:
        uuid = (await posted(server, "/task/new/init", files={"name": (None, "a")}))["uuid"]
        await killed_after(server, rng.uniform(0, 0.15), asyncio.create_task(sent(server, uuid)))
    async with gateway.running() as server:
        assert await sent(server, uuid) == [{"success": True}] * len(FILES)
        commit = asyncio.create_task(posted(server, f"/task/new/commit/{uuid}"))
        answer = await killed_after(server, rng.uniform(0, 0.05), commit)
        assert answer in (None, {"uuid": uuid})
    async with gateway.running() as server:
        again = await posted(server, f"/task/new/commit/{uuid}")
        assert again in ({"uuid": uuid}, {"error": "Invalid uuid (not found)"})
        info = await finished(server, uuid)
        assert (info["status"], info["imagesCount"]) == ({"code": 40}, len(FILES))
        assert (await server.http.get("/task/list")).json() == [{"uuid": uuid}]
    assert set(stored_files(tmp_path / "home")) == set(FILES.values())


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 6))])
async def test_a_request_that_is_killed_leaves_no_task(forking: Zygote, tmp_path: Path, seed: int) -> None:
    gateway = GatewayServer(forking, tmp_path / "home", {"ODM_GATEWAY_CLEANUP_UPLOADS": "PT1S"})
    files = [("images", (name, content)) for name, content in FILES.items()]
    async with gateway.running() as server:
        asked = asyncio.create_task(posted(server, "/task/new", files=files))
        answer = await killed_after(server, random.Random(seed).uniform(0, 0.1), asked)
    async with gateway.running() as server:
        listed = (await server.http.get("/task/list")).json()
        assert answer in (None, *listed)
        if listed:  # it was made, and only the answer was lost
            assert (await finished(server, listed[0]["uuid"]))["imagesCount"] == len(FILES)
            return
    await asyncio.sleep(1.2)
    async with gateway.running() as server:  # looks for what is left at its start
        async with asyncio.timeout(30):
            while stored_files(tmp_path / "home"):
                await asyncio.sleep(0.1)
        assert (await server.http.get("/task/list")).json() == []


@pytest.mark.parametrize("at", [0.3, pytest.param(0.8, marks=pytest.mark.long)])
async def test_the_intake_of_an_archive_goes_on_after_its_gateway_was_killed(
    forking: Zygote, tmp_path: Path, at: float
) -> None:
    content = archive(FILES)
    asked = 0

    async def slowly(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        response = web.StreamResponse(headers={"Content-Length": str(len(content))})
        await response.prepare(request)
        for start in range(0, len(content), MIB):
            await response.write(content[start : start + MIB])
            await asyncio.sleep(0.05)
        return response

    gateway = GatewayServer(forking, tmp_path / "home", {"ODM_GATEWAY_ALLOW_PRIVATE_URLS": "true"})
    async with serving(slowly) as url:
        async with gateway.running() as server:
            uuid = (await posted(server, "/task/new", data={"zipurl": url}))["uuid"]
            await asyncio.sleep(at)
            server.kill()
        async with gateway.running() as server:
            info = await finished(server, uuid)
    assert (info["status"], info["imagesCount"]) == ({"code": 40}, len(FILES)), asked
    assert sorted(stored_files(tmp_path / "home")) == sorted(FILES.values())
    assert [path for path in (tmp_path / "home" / "work").rglob("*") if path.is_file()] == []
