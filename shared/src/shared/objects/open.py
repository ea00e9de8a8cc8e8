"""Opens the object store that a URL names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from shared.errors import InvalidInputError
from shared.objects.file import FileObjects
from shared.objects.port import ObjectStore
from shared.objects.signing import Signer


@asynccontextmanager
async def open_objects(
    url: str,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    access_key: str | None = None,
    secret_key: SecretStr | None = None,
    signer: Signer | None = None,
) -> AsyncIterator[ObjectStore]:
    """Open the store at ``url``: ``file:///absolute/folder`` or ``s3://bucket/prefix``.

    Args:
        url: Where the objects are.
        endpoint_url: Server of an ``s3:`` store other than AWS.
        region: Region of an ``s3:`` store.
        access_key: User of an ``s3:`` store; none: the environment, a profile or the machine's role.
        secret_key: Password of ``access_key``.
        signer: Makes URLs of a ``file:`` store, where a service serves it.

    Raises:
        InvalidInputError: The URL names no such store.
        PermanentError: The folder cannot be written, or the extra ``shared[s3]`` is not installed.
    """
    match urlsplit(url).scheme:
        case "file":
            yield await asyncio.to_thread(FileObjects, folder_path(url), signer)
        case "s3":
            from shared.objects.s3 import open_s3  # noqa: PLC0415 - aiobotocore comes with an extra
            from shared.objects.s3_client import Server  # noqa: PLC0415

            async with open_s3(url, Server(endpoint_url, region, access_key, secret_key)) as objects:
                yield objects
        case scheme:
            raise InvalidInputError(
                f"no object store is reached by {scheme or 'no scheme'}: use file:///… or s3://…", field="url"
            )


def folder_path(url: str) -> Path:
    """Return the folder that a ``file:///absolute/folder`` URL names.

    Raises:
        InvalidInputError: It names none.
    """
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or parts.netloc or not path.is_absolute():
        raise InvalidInputError(f"{url}: write file:///absolute/folder", field="url", value=url)
    return path
