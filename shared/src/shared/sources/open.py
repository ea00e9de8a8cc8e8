"""Sources by URI, sharing one S3 client per process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

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
    folders: Sequence[Path]
    """Folders that ``file://`` sources may lie in."""
    _client: Any = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def at(self, uri: str) -> Source:
        """Return the source that ``uri`` names.

        Raises:
            InvalidInputError: The URI is malformed, or of a scheme that is not known.
            SourceForbiddenError: A folder outside those that are allowed.
        """
        parts = urlsplit(uri)
        match parts.scheme:
            case "file":
                return self._folder(uri, unquote(parts.path))
            case "s3":
                return await self._s3(uri, parts.netloc, unquote(parts.path).strip("/"))
            case other:
                raise InvalidInputError(
                    f"{uri!r}: sources begin with {', '.join(f'{scheme}://' for scheme in KNOWN_SCHEMES)},"
                    f" not with {other!r}",
                    field="source",
                    value=uri,
                )

    def _folder(self, uri: str, path: str) -> FolderSource:
        if not path.startswith("/"):
            raise InvalidInputError(
                f"{uri!r} names no absolute folder: file:///path", field="source", value=uri
            )
        source = FolderSource(Path(path))
        if not any(source.root.is_relative_to(folder.resolve()) for folder in self.folders):
            raise SourceForbiddenError(
                f"{source.root} is in none of the folders that may be read ({_listed(self.folders)});"
                " set FLIGHTLINE_FOLDERS"
            )
        return source

    async def _s3(self, uri: str, bucket: str, prefix: str) -> Source:
        from shared.sources.s3 import S3Source  # noqa: PLC0415 - heavy, and an extra

        if not bucket:
            raise InvalidInputError(f"{uri!r} names no bucket: s3://bucket/prefix", field="source", value=uri)
        async with self._lock:
            if self._client is None:
                self._client = await self.stack.enter_async_context(_s3_client(self.settings))
        return S3Source(self._client, bucket, prefix)


@asynccontextmanager
async def open_sources(settings: PlatformSettings, *folders: Path) -> AsyncIterator[Sources]:
    """Open sources with the platform's S3 access; ``folders`` may be read beside those of the settings."""
    async with AsyncExitStack() as stack:
        yield Sources(settings, stack, (*settings.readable_folders, *folders))


@asynccontextmanager
async def _s3_client(settings: PlatformSettings) -> AsyncIterator[Any]:
    from aiobotocore.config import AioConfig  # noqa: PLC0415 - heavy, and an extra
    from aiobotocore.session import get_session  # noqa: PLC0415

    secret = settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else None
    config = AioConfig(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
    )
    async with get_session().create_client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=secret,
        config=config,
    ) as client:
        yield client


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders)) or "none are"
