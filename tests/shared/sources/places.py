"""Places that flights can lie at: one of each kind of source, on a real server where it takes one."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from typing_extensions import override

from shared.settings import PlatformSettings
from shared.sources import Entry, Source
from tests.support.dav import DavServer, dav_server
from tests.support.processes import free_port
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from tests.support.tapis import CLIENT_ID, CLIENT_KEY, PASSWORD, USER, TapisServer, tapis_server
from tests.support.web_index import WebServer, web_server

Opened = AbstractAsyncContextManager["Place"]
TENANT = "portals"


def settings(home: Path, **more: Any) -> PlatformSettings:
    """Return settings of a process on a broker, which may read nothing but what a test names."""
    return PlatformSettings(home=home, bus="amqp://nobody@127.0.0.1:1/", **more)


class Place(ABC):
    """Where files can be put, and the source that finds them there."""

    uri: str
    settings: PlatformSettings
    can_forbid = True

    @abstractmethod
    async def put(self, path: str, content: bytes) -> None:
        """Put a file, in the place of what is there."""

    @abstractmethod
    async def remove(self, path: str) -> None:
        """Take a file away."""

    @abstractmethod
    def unreachable(self) -> tuple[str, PlatformSettings]:
        """Return the URI, and settings, of such a place on a server that does not answer."""

    async def forbid(self) -> None:
        """Let nobody read it any more."""
        raise NotImplementedError


class OnDisk(Place):
    """A folder; files change their time even if they are written within its resolution."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._moments = itertools.count(1_700_000_000)

    @override
    async def put(self, path: str, content: bytes) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        moment_s = next(self._moments)
        os.utime(place, (moment_s, moment_s))

    @override
    async def remove(self, path: str) -> None:
        (self.folder / path).unlink()

    @override
    def unreachable(self) -> tuple[str, PlatformSettings]:
        raise NotImplementedError


class FilePlace(OnDisk):
    """A folder of this machine."""

    can_forbid = False  # root may read everything; see test_folder

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.uri = folder.as_uri()
        self.settings = settings(folder, folders=(folder,))


class S3Place(Place):
    """A prefix of a bucket."""

    can_forbid = False  # moto lets everybody in; see test_s3

    def __init__(self, client: Any, server: S3Server, bucket: str, home: Path) -> None:
        self._client, self._bucket, self._home = client, bucket, home
        self.uri = f"s3://{bucket}/root"
        self.settings = self._settings(server.endpoint_url)

    @override
    async def put(self, path: str, content: bytes) -> None:
        await self._client.put_object(Bucket=self._bucket, Key=f"root/{path}", Body=content)

    @override
    async def remove(self, path: str) -> None:
        await self._client.delete_object(Bucket=self._bucket, Key=f"root/{path}")

    @override
    def unreachable(self) -> tuple[str, PlatformSettings]:
        raise NotImplementedError  # its client tries for half a minute; see test_s3

    def _settings(self, endpoint: str) -> PlatformSettings:
        return settings(
            self._home,
            s3_endpoint=endpoint,
            s3_region=REGION,
            s3_access_key=ACCESS_KEY,
            s3_secret_key=SECRET_KEY,
        )


class DavPlace(OnDisk):
    """A folder of a WebDAV server."""

    def __init__(self, server: DavServer) -> None:
        super().__init__(server.folder / "root")
        self.folder.mkdir()
        self._server = server
        self.uri = f"dav://{server.host}/root"
        self.settings = self._settings(server.host, server.login)

    @override
    async def forbid(self) -> None:
        self.settings = self._settings(self._server.host, "anna:wrong")

    @override
    def unreachable(self) -> tuple[str, PlatformSettings]:
        host = f"127.0.0.1:{free_port()}"
        return f"dav://{host}/root", self._settings(host, self._server.login)

    def _settings(self, host: str, login: str) -> PlatformSettings:
        return settings(self.folder, dav_logins={host: login})


class WebPlace(OnDisk):
    """A folder that a web server shows on pages."""

    name = "root/"

    def __init__(self, server: WebServer, home: Path) -> None:
        super().__init__(server.folder / "root")
        self.folder.mkdir()
        self.server = server
        self.uri = f"{server.url}/{self.name}"
        self.settings = settings(home, allow_private_urls=True)

    @override
    async def forbid(self) -> None:
        self.server.status = 403

    @override
    def unreachable(self) -> tuple[str, PlatformSettings]:
        return f"http://127.0.0.1:{free_port()}/{self.name}", self.settings


class ManifestPlace(WebPlace):
    """Files that a manifest lists."""

    name = "root/flight.json"

    @override
    async def put(self, path: str, content: bytes) -> None:
        await super().put(path, content)
        self._write()

    @override
    async def remove(self, path: str) -> None:
        await super().remove(path)
        self._write()

    def _write(self) -> None:
        files = [place for place in self.folder.rglob("*") if place.is_file() and place.name != "flight.json"]
        (self.folder / "flight.json").write_text(
            json.dumps({"files": [self._told(place) for place in files]})
        )

    def _told(self, place: Path) -> dict[str, Any]:
        path = place.relative_to(self.folder).as_posix()
        content = place.read_bytes()
        return {
            "path": path,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "etag": self.server.etag(f"root/{path}"),
        }


class ZipPlace(WebPlace):
    """Files of an archive."""

    name = "flight.zip"

    def __init__(self, server: WebServer, home: Path) -> None:
        super().__init__(server, home)
        self._content: dict[str, bytes] = {}

    @override
    async def put(self, path: str, content: bytes) -> None:
        self._content[path] = content
        await self._write()

    @override
    async def remove(self, path: str) -> None:
        del self._content[path]
        await self._write()

    async def _write(self) -> None:
        target = self.server.folder / self.name
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in self._content.items():
                archive.writestr(path, content)
        await asyncio.sleep(0.01)  # its ETag is told from its time


class TapisPlace(Place):
    """A folder of a Tapis system."""

    system = "ptdatax.project.TEST"

    def __init__(self, server: TapisServer, home: Path) -> None:
        self.server, self._home = server, home
        self._files = server.tapis.add_system(self.system, USER).files
        self._files.make_folder("root")
        self._moments = itertools.count(1_700_000_000)
        self.uri = f"tapis://{self.system}/root"
        self.settings = self._settings(server.url)

    @override
    async def put(self, path: str, content: bytes) -> None:
        self._files.write(f"root/{path}", content, next(self._moments))

    @override
    async def remove(self, path: str) -> None:
        self._files.remove(f"root/{path}")

    @override
    async def forbid(self) -> None:
        self.server.tapis.systems[self.system].owner = "somebody-else"

    @override
    def unreachable(self) -> tuple[str, PlatformSettings]:
        return self.uri, self._settings(f"http://127.0.0.1:{free_port()}")

    def _settings(self, url: str) -> PlatformSettings:
        return settings(
            self._home,
            tapis_url=url,
            tapis_tenant=TENANT,
            tapis_client_id=CLIENT_ID,
            tapis_client_key=SecretStr(CLIENT_KEY),
            tapis_username=USER,
            tapis_password=SecretStr(PASSWORD),
        )


@asynccontextmanager
async def file_place(folder: Path) -> AsyncIterator[Place]:
    """Open a folder."""
    yield FilePlace(folder)


@asynccontextmanager
async def dav_place(folder: Path) -> AsyncIterator[Place]:
    """Open a WebDAV folder."""
    with dav_server(folder) as server:
        yield DavPlace(server)


def on_the_web(kind: type[WebPlace]) -> Callable[[Path], Opened]:
    """Return how to open a place on a web server."""

    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[Place]:
        async with web_server(folder) as server:
            yield kind(server, folder)

    return opened


@asynccontextmanager
async def tapis_place(folder: Path) -> AsyncIterator[Place]:
    """Open a folder of a simulated Tapis."""
    async with tapis_server() as server:
        yield TapisPlace(server, folder)


async def content(source: Source, entry: Entry, offset_bytes: int = 0) -> bytes:
    """Read a file whole, or from somewhere on."""
    async with source.open(entry, offset_bytes) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def entry_of(source: Source, path: str) -> Entry:
    """Return a file as it is listed now."""
    folder = await source.folder(path.rpartition("/")[0])
    (entry,) = [entry for entry in folder.files if entry.path == path]
    return entry
