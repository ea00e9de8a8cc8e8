"""A client that uploads; over a bare connection it sends what no library would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlsplit

from odm_gateway.adapters.staging import Staging
from odm_gateway.ports import Job
from tests.support.gateway import GatewayClient

BOUNDARY = "------------------------d74496d66958873e"


def part(name: str, content: bytes, file_name: str | None = None, kind: str | None = None) -> bytes:
    """Return one part of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    head += "" if file_name is None else f'; filename="{file_name}"'
    head += "" if kind is None else f"\r\nContent-Type: {kind}"
    return f"{head}\r\n\r\n".encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """Return a whole form."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def images(*names: str) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Return files for httpx, each with its name as content."""
    return [("images", (name, name.encode(), "application/octet-stream")) for name in names]


async def init(client: GatewayClient, headers: dict[str, str] | None = None, **fields: str) -> str:
    """Begin an upload and return its id."""
    sent = {name: (None, value) for name, value in (fields or {"name": "a flight"}).items()}
    return str((await client.post("/task/new/init", files=sent, headers=headers))["uuid"])


async def upload(client: GatewayClient, uuid: str, *names: str, content: bytes | None = None) -> Any:
    """Upload files, each with its name as content unless one is given."""
    files = [("images", (name, name.encode() if content is None else content)) for name in names]
    return await client.post(f"/task/new/upload/{uuid}", files=files)


async def commit(client: GatewayClient, uuid: str) -> Any:
    """Make the task of an upload."""
    return await client.post(f"/task/new/commit/{uuid}")


async def contents(client: GatewayClient, uuid: str) -> dict[str, bytes]:
    """Return what an engine would be given for a task: its files by name."""
    task = (await client.platform.store.get("odm_tasks", uuid.lower())) or None
    assert task
    job = Job(uuid, "job", task.body["images"], task.body["manifest"], (), "products")
    files = await Staging(client.platform.objects).files(job)
    return {file.path: await client.platform.objects.read(file.key) for file in files}


async def stored_keys(client: GatewayClient, prefix: str = "uploads/") -> list[str]:
    """Return the keys of all objects below a prefix."""
    return [stored.key async for stored in client.platform.objects.list(prefix)]


async def pieces(content: bytes, piece_bytes: int = 1000) -> AsyncIterator[bytes]:
    """Yield ``content`` in pieces, which httpx sends as chunks."""
    for start in range(0, len(content), piece_bytes):
        yield content[start : start + piece_bytes]


async def raw(
    client: GatewayClient, path: str, headers: Iterable[str], *sent: bytes, is_cut: bool = False
) -> Any:
    """POST over a connection of its own, waiting for ``100 Continue`` where the headers ask for it.

    Args:
        client: Of the gateway.
        path: Where to.
        headers: Beside ``Host``.
        sent: The body.
        is_cut: End the connection behind the body.

    Returns:
        The JSON of the answer; None where the connection was closed without one.
    """
    where = urlsplit(str(client.http.base_url))
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        lines = [f"POST {path} HTTP/1.1", "Host: a", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        if any("100-continue" in header for header in headers):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        for piece in sent:
            writer.write(piece)
            await writer.drain()
        if is_cut:
            writer.write_eof()
        return _answer(await reader.read())
    finally:
        writer.close()


def _answer(answer: bytes) -> Any:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert not head or head.startswith(b"HTTP/1.1 200 "), head
    return json.loads(body) if body else None
