"""Connections to an S3 server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from shared.errors import PermanentError

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    from shared.objects.s3_body import sign_hashed_bodies
except ImportError as missing:
    raise PermanentError("S3 needs the extra shared[s3]: pip install 'shared[s3]'") from missing

REQUESTS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Server:
    """Which S3 server, and who we are there; None: as the environment says."""

    endpoint_url: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: SecretStr | None = None


@asynccontextmanager
async def s3_client(server: Server) -> AsyncIterator[Any]:
    """Open a client whose requests are bounded in time and number, and repeated by its own rules."""
    config = AioConfig(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=REQUESTS_AT_ONCE,
        request_checksum_calculation="when_required",  # the signature covers the body's SHA-256 already
        response_checksum_validation="when_required",
        parameter_validation=False,  # a fifth of what a small request costs; ours are typed
        user_agent="flightline",  # botocore's own is put together anew for every request
        signature_version="s3v4",  # else URLs of older regions get version 2, which few servers know any more
        s3={"addressing_style": "path" if server.endpoint_url else "auto", "payload_signing_enabled": True},
    )
    async with get_session().create_client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key.get_secret_value() if server.secret_key else None,
        config=config,
    ) as client:
        sign_hashed_bodies(client)
        yield client
