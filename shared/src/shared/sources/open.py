"""Sources by URI, sharing one S3 client per process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from shared.errors import InvalidInputError
from shared.sources.folder import FolderSource
from shared.sources.port import Source, SourceForbiddenError

if TYPE_CHECKING:
    from shared.settings import PlatformSettings

KNOWN_SCHEMES = ("file", "s3")


@dataclass
class Sources:
    """Opens sources; made by ``open_sources``."""

    settings: PlatformSettings
    stack: AsyncExitStack
    _client: Any = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def at(self, uri: str) -> Source:
        """Return the source that ``uri`` names.

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
            case other:
                raise InvalidInputError(
                    f"{uri!r}: sources begin with {', '.join(f'{scheme}://' for scheme in KNOWN_SCHEMES)},"
                    f" not with {other!r}",
                    field="source",
                    value=uri,
                )

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
        async with self._lock:
            if self._client is None:
                self._client = await self.stack.enter_async_context(s3_client(server))
        return S3Source(self._client, bucket, prefix)


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
async def open_sources(settings: PlatformSettings) -> AsyncIterator[Sources]:
    """Open sources with the platform's S3 access, and the folders that it allows."""
    async with AsyncExitStack() as stack:
        yield Sources(settings, stack)


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders)) or "none are"
