"""Sources by URI, sharing one client per kind and process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from shared.errors import InvalidInputError
from shared.sources.folder import FolderSource
from shared.sources.port import Source, SourceForbiddenError

if TYPE_CHECKING:  # heavy, and extras
    from shared.settings import PlatformSettings
    from shared.sources.web import Web
    from shared.tapis.client import TapisClient
    from shared.tapis.tokens import TapisTokens

T = TypeVar("T")

KNOWN_SCHEMES = ("file", "s3", "tapis", "davs", "dav", "https", "http")


@dataclass
class Sources:
    """Opens sources; made by ``open_sources``."""

    settings: PlatformSettings
    stack: AsyncExitStack
    users: TapisTokens | None = None
    _opened: dict[str, Any] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def at(self, uri: str, owner: str = "") -> Source:
        """Return the source that ``uri`` names.

        Args:
            uri: Its URI.
            owner: As whom to read it, where that makes a difference: ``username@tenant`` on Tapis. Nobody in
                particular: the service account.

        Raises:
            InvalidInputError: The URI is malformed, or of a scheme that is not known.
            SourceForbiddenError: A folder outside those that are allowed.
        """
        scheme, system, path = _parts(uri)
        match scheme:
            case "file":
                return self._folder(uri)
            case "s3":
                return await self._s3(uri, system, path.strip("/"))
            case "tapis":
                return await self._tapis(uri, system, path.strip("/"), owner)
            case "dav" | "davs":
                return (await self.web()).dav(uri)
            case "http" | "https":
                return await (await self.web()).source(uri)
            case other:
                raise InvalidInputError(
                    f"{uri!r}: sources begin with {', '.join(f'{scheme}://' for scheme in KNOWN_SCHEMES)},"
                    f" not with {other!r}",
                    field="source",
                    value=uri,
                )

    async def tapis(self) -> TapisClient:
        """Return the client of the Tapis tenant.

        Raises:
            InvalidInputError: None is known.
        """
        from shared.tapis.connect import connect  # noqa: PLC0415 - heavy, and an extra

        return await self._once("tapis", lambda: connect(self.settings, self.stack, self.users))

    async def web(self) -> Web:
        """Return the client of WebDAV and web servers."""
        from shared.sources.web import open_web  # noqa: PLC0415 - an extra

        return await self._once("web", lambda: self.stack.enter_async_context(open_web(self.settings)))

    def _folder(self, uri: str) -> FolderSource:
        source = FolderSource(local_folder(uri))
        folders = self.settings.readable_folders
        if not any(source.root.is_relative_to(folder.resolve()) for folder in folders):
            raise SourceForbiddenError(
                f"{source.root} is in none of the folders that may be read ({_listed(folders)});"
                " set FLIGHTLINE_FOLDERS"
            )
        return source

    async def _s3(self, uri: str, bucket: str, prefix: str) -> Source:
        from shared.objects.s3_client import Server, s3_client  # noqa: PLC0415 - heavy, and an extra
        from shared.sources.s3 import S3Source  # noqa: PLC0415

        if not bucket:
            raise InvalidInputError(f"{uri!r} names no bucket: s3://bucket/prefix", field="source", value=uri)
        on = self.settings
        server = Server(on.s3_endpoint, on.s3_region, on.s3_access_key, on.s3_secret_key)
        client = await self._once("s3", lambda: self.stack.enter_async_context(s3_client(server)))
        return S3Source(client, bucket, prefix)

    async def _tapis(self, uri: str, system: str, path: str, owner: str) -> Source:
        from shared.sources.tapis import TapisSource  # noqa: PLC0415 - heavy, and an extra
        from shared.tapis.client import confined  # noqa: PLC0415

        if not system:
            raise InvalidInputError(
                f"{uri!r} names no system: tapis://system/path", field="source", value=uri
            )
        return TapisSource(await self.tapis(), unquote(system), confined(path), owner)

    async def _once(self, kind: str, connect: Callable[[], Awaitable[T]]) -> T:
        async with self._lock:
            if kind not in self._opened:
                self._opened[kind] = await connect()
            opened: T = self._opened[kind]
            return opened


def local_folder(uri: str) -> Path:
    """Return the folder that a ``file://`` URI names.

    Raises:
        InvalidInputError: It names none, or one of another host.
    """
    _, host, path = _parts(uri)
    if host not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        raise InvalidInputError(f"{uri!r} names no absolute folder: file:///path", field="source", value=uri)
    return Path(path)


def _parts(uri: str) -> tuple[str, str, str]:
    """Return scheme, system and path; people write ``#`` and ``?`` in paths and mean just that."""
    scheme, _, rest = uri.partition("://")
    system, slash, path = rest.partition("/")
    return scheme.lower(), system, slash + unquote(path)


@asynccontextmanager
async def open_sources(
    settings: PlatformSettings, users: TapisTokens | None = None
) -> AsyncIterator[Sources]:
    """Open sources with the platform's S3, Tapis and WebDAV access, and the folders that it allows.

    Args:
        settings: The platform's.
        users: Tapis tokens of users; None: discovery is asked for them.
    """
    async with AsyncExitStack() as stack:
        yield Sources(settings, stack, users)


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders)) or "none are"
