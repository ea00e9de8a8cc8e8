"""Gateways as their operators start them: processes of their own, named by nothing but their environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from shared.objects.open import open_objects
from tests.support.processes import free_port

STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 60.0
ENDED = 30
"""Codes from here on are ends."""
JPEG = b"\xff\xd8\xff\xe0 no real image \xff\xd9"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Process:
    """A running gateway."""

    port: int
    home: Path
    log: Path
    ready_s: float
    """How long it took until its first answer."""

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def objects_uri(self) -> str:
        """Return where its objects lie."""
        return f"file://{self.home / 'objects'}"

    async def store(self, key: str, content: bytes, content_type: str = "") -> str:
        """Put an object into its store and return the URI."""
        async with open_objects(self.objects_uri) as objects:
            await objects.put(key, content, content_type=content_type or "application/octet-stream")
            return objects.uri(key)

    async def keys(self, prefix: str) -> list[str]:
        """Return what lies in its store below ``prefix``."""
        async with open_objects(self.objects_uri) as objects:
            return [stored.key async for stored in objects.list(prefix)]


@contextlib.contextmanager
def gateway_running(home: Path, environment: Mapping[str, str], port: int | None = None) -> Iterator[Process]:
    """Run ``odm-gateway`` with the simulated engine on embedded backends, unless told otherwise."""
    home.mkdir(parents=True, exist_ok=True)
    port, log = port or free_port(), home / "gateway.log"
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLIGHTLINE_", "ODM_GATEWAY_"))
    }
    ours = {"FLIGHTLINE_HOME": str(home), "ODM_GATEWAY_ENGINE": "simulate", "ODM_GATEWAY_PORT": str(port)}
    began = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("odm-gateway"))],
            env={**inherited, **ours, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/auth/info", log)
        yield Process(port, home, log, time.monotonic() - began)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).is_success:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the gateway did not start: {log.read_text()[-3000:]}")


@dataclass(frozen=True, slots=True)
class Node:
    """What a client sees of a gateway."""

    process: Process
    http: httpx.AsyncClient

    async def get(self, path: str, **more: Any) -> Any:
        """Return the JSON of a GET, which must be a 200."""
        answer = await self.http.get(path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **more: Any) -> Any:
        """Return the JSON of a POST, which must be a 200."""
        answer = await self.http.post(path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def info(self, uuid: str, **query: str) -> Any:
        """Return what a task is said to be."""
        return await self.get(f"/task/{uuid}/info", params=query)

    async def init(self, *, set_uuid: str | None = None, **fields: str) -> Any:
        """Begin an upload and return the answer."""
        headers = {"set-uuid": set_uuid} if set_uuid else {}
        return await self.post("/task/new/init", files=multipart(fields), headers=headers)

    async def upload(self, uuid: str, *files: tuple[str, bytes]) -> Any:
        """Send files and return the answer."""
        return await self.post(f"/task/new/upload/{uuid}", files=images(*files))

    async def commit(self, uuid: str) -> Any:
        """End an upload and return the answer."""
        return await self.post(f"/task/new/commit/{uuid}")

    async def drafted(self, count: int = 3, **fields: str) -> str:
        """Begin an upload, send so many images and return the id."""
        uuid = (await self.init(**fields))["uuid"]
        for number in range(count):
            assert await self.upload(uuid, photo(number)) == {"success": True}
        return str(uuid)

    async def task(self, count: int = 3, **fields: str) -> str:
        """Make a task of so many uploaded images and return its id."""
        uuid = await self.drafted(count, **fields)
        assert await self.commit(uuid) == {"uuid": uuid}
        return uuid

    async def ended(self, uuid: str) -> Any:
        """Return a task's info once it is at its end."""
        return await self.reached(uuid, *range(ENDED, 60, 10))

    async def reached(self, uuid: str, *codes: int) -> Any:
        """Return a task's info once its status is one of ``codes``."""
        async with asyncio.timeout(ENDS_WITHIN_S):
            while (info := await self.info(uuid))["status"]["code"] not in codes:
                await asyncio.sleep(0.05)
        return info

    async def finished(self, **fields: str) -> str:
        """Make a task, wait until it is complete and return its id."""
        uuid = await self.task(3, **fields)
        info = await self.ended(uuid)
        assert info["status"] == {"code": 40}, info
        return uuid


def photo(number: int) -> tuple[str, bytes]:
    """Return name and content of an image unlike all others."""
    return f"DJI_{number:04}.JPG", JPEG + number.to_bytes(4, "big")


def images(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Return files as a form carries them."""
    return [("images", (name, content, "image/jpeg")) for name, content in files]


def multipart(fields: Mapping[str, str]) -> dict[str, tuple[None, str]]:
    """Return fields as parts of a form; such a form has one part at least."""
    return {name: (None, value) for name, value in (fields or {"unused": ""}).items()}
