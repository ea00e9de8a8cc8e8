"""A web server on a folder: files with ranges and ETags, folders as pages, switches for what goes wrong."""

from __future__ import annotations

import asyncio
import html
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

_HOST = "127.0.0.1"


@dataclass(slots=True)
class WebServer:
    """A running server; its switches count from the next request on."""

    folder: Path
    url: str = ""
    has_ranges: bool = True
    has_etags: bool = True
    status: int = 0
    """What everything is answered with; 0: properly."""
    times: int = 0
    """So often; 0: always."""
    retry_after: str = ""
    cut_at_bytes: int | None = None
    """Where bodies end, without a sign that they are not whole."""
    redirects: dict[str, str] = field(default_factory=dict)
    page: str | None = None
    """What is shown instead of a folder's page."""
    json_pages: bool = False
    calls: Counter[str] = field(default_factory=Counter)

    def etag(self, path: str) -> str:
        """Return the ETag of a file."""
        status = (self.folder / path).stat()
        return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        self.calls[request.method] += 1
        if refusal := self._refusal(request):
            return refusal
        place = self.folder / request.match_info["path"]
        if not place.resolve().is_relative_to(self.folder.resolve()) or not place.exists():
            return web.Response(status=404)
        if place.is_dir():
            return self._folder_page(request, place)
        if self.cut_at_bytes is not None and request.method == "GET":
            return await self._cut(request, place)
        return await self._file(request, place)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if target := self.redirects.get(request.path):
            return web.Response(status=302, headers={"Location": target})
        if not self.status:
            return None
        status = self.status
        if self.times:
            self.times -= 1
            self.status = self.status if self.times else 0
        return web.Response(
            status=status, headers={"Retry-After": self.retry_after} if self.retry_after else {}
        )

    def _folder_page(self, request: web.Request, place: Path) -> web.Response:
        if not request.path.endswith("/"):
            return web.Response(status=301, headers={"Location": f"{quote(request.path)}/"})
        if self.page is not None:
            return web.Response(text=self.page, content_type="text/html")
        found = sorted(place.iterdir())
        if self.json_pages:
            return web.json_response([_described(item) for item in found])
        links = [
            f'<a href="{_href(item)}">{html.escape(item.name)[:20]}</a>  21-Nov-2026 10:00' for item in found
        ]
        head = (
            '<a href="?C=N;O=D">Name</a> <a href="../">Parent</a> <a href="https://httpd.example/">Server</a>'
        )
        body = f"<html><title>Index of /{html.escape(place.name)}</title><pre>{head}\n" + "\n".join(links)
        return web.Response(text=f"{body}</pre></html>", content_type="text/html")

    async def _file(self, request: web.Request, place: Path) -> web.StreamResponse:
        if self.has_ranges and self.has_etags:
            return web.FileResponse(place)
        content = await asyncio.to_thread(place.read_bytes)
        headers = {"ETag": self.etag(request.match_info["path"])} if self.has_etags else {}
        response = web.Response(body=content, headers=headers)
        response.last_modified = place.stat().st_mtime
        return response

    async def _cut(self, request: web.Request, place: Path) -> web.StreamResponse:
        content = (await asyncio.to_thread(place.read_bytes))[: self.cut_at_bytes]
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content)
        request.transport.close()
        return web.Response()


def _href(item: Path) -> str:
    return f"./{quote(item.name)}" + ("/" if item.is_dir() else "")


def _described(item: Path) -> dict[str, object]:
    modified = web.Response()
    modified.last_modified = item.stat().st_mtime
    told: dict[str, object] = {"name": item.name, "mtime": modified.headers["Last-Modified"]}
    return told | ({"type": "directory"} if item.is_dir() else {"type": "file", "size": item.stat().st_size})


@asynccontextmanager
async def web_server(folder: Path) -> AsyncIterator[WebServer]:
    """Run a server on a folder until the block ends."""
    server = WebServer(folder)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, _HOST, 0).start()
        server.url = f"http://{_HOST}:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
