"""The object store in an S3 bucket.

Every body is signed with its SHA-256, which the server verifies as it arrives, over plain HTTP as well; the
hash is kept in the object's metadata and verified again by ``download``. Give the bucket a lifecycle rule
that ends stale multipart uploads: a process that is killed cannot abort its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from botocore.exceptions import ClientError
from pydantic import SecretStr

from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.objects.disk import Incoming, errors_translated, file_sha256, sync_folder
from shared.objects.keys import check_key, check_metadata, is_key, key_to_uri, uri_to_key
from shared.objects.port import CHUNK_BYTES, ContentError, ObjectExistsError, StoredObject
from shared.objects.receive import finished, receive
from shared.objects.s3_errors import s3_errors, status_of
from shared.objects.s3_upload import PART_BYTES, Measured, Upload, copy_parts, multipart, parts_of, send_parts

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session
except ImportError as missing:
    raise PermanentError("S3 needs the extra shared[s3]: pip install 'shared[s3]'") from missing

REQUESTS_AT_ONCE = 64
COPY_AT_ONCE_BYTES = 5 << 30
"""More than this, S3 copies in parts only."""


@dataclass(frozen=True, slots=True)
class Server:
    """Which S3 server, and who we are there; None: as the environment says."""

    endpoint_url: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: SecretStr | None = None


@asynccontextmanager
async def open_s3(url: str, server: Server) -> AsyncIterator[S3Objects]:
    """Open the store at ``s3://bucket/prefix``.

    Raises:
        InvalidInputError: The URL names no bucket.
    """
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc:
        raise InvalidInputError(f"{url}: write s3://bucket or s3://bucket/prefix", field="url", value=url)
    config = AioConfig(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=REQUESTS_AT_ONCE,
        request_checksum_calculation="when_required",  # the signature covers the body's SHA-256 already
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if server.endpoint_url else "auto", "payload_signing_enabled": True},
    )
    secret = server.secret_key.get_secret_value() if server.secret_key else None
    async with get_session().create_client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=secret,
        config=config,
    ) as client:
        yield S3Objects(client, parts.netloc, unquote(parts.path).strip("/"))


class S3Objects:
    """The objects below ``prefix`` in ``bucket``."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._base = key_to_uri(f"s3://{bucket}", prefix) if prefix else f"s3://{bucket}"

    async def put(
        self,
        key: str,
        content: AsyncIterator[bytes] | bytes | Path,
        *,
        create_only: bool = False,
        size_bytes: int | None = None,
        sha256: str | None = None,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
    ) -> StoredObject:
        """Store ``content``; more than 16 MiB go in parts, at most six of which are in memory.

        Raises:
            ContentError: Size or hash differ from what was promised; nothing was stored.
            ObjectExistsError: ``create_only``, and another content has this name.
        """
        upload = self._upload(key)
        about = StoredObject(
            key, size_bytes or 0, sha256, datetime.now(UTC), content_type, metadata=check_metadata(metadata or {})
        )
        measured = Measured(size_bytes, sha256)
        conditions = {"IfNoneMatch": "*"} if create_only else {}
        with errors_translated(Path(content) if isinstance(content, Path) else Path()):
            try:
                return await self._send(upload, content, measured, about, conditions)
            except ClientError as error:
                if not create_only or status_of(error) not in (409, 412):
                    raise
        return await self._same_or_refused(key, measured.sha256)
