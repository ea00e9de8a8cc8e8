"""Connections to an S3 server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import SecretStr

from shared.bulk import open_bulk
from shared.errors import PermanentError

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session
    from botocore.loaders import Loader, create_loader

    from shared.objects.s3_body import sign_hashed_bodies
    from shared.objects.s3_send import Sender, ShortWay
    from shared.objects.s3_watch import watch_calls
except ImportError as missing:
    raise PermanentError("S3 needs the extra shared[s3]: pip install 'shared[s3]'") from missing

REQUESTS_AT_ONCE = 64
BODIES_AT_ONCE = 32
CONNECT_S = 5
READ_S = 60


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
    async with _client(_session(server), server) as client:
        yield client


@asynccontextmanager
async def s3_sender(server: Server) -> AsyncIterator[Sender]:
    """Open a client, and a short way for bodies beside it."""
    session = _session(server)
    trusted = session.get_config_variable("ca_bundle")
    async with (
        _client(session, server) as client,
        open_bulk(
            allowed=_all, connections=BODIES_AT_ONCE, connect_s=CONNECT_S, read_s=READ_S, ca_file=trusted
        ) as bulk,
    ):
        credentials = await session.get_credentials()
        yield Sender(client, ShortWay(client, credentials, bulk) if credentials else None)


def _session(server: Server) -> Any:
    """Return what makes clients; it knows the keys as well, for those who sign beside them."""
    session = get_session()
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    if server.access_key and server.secret_key:
        session.set_credentials(server.access_key, server.secret_key.get_secret_value())
    return session


@cache
def _loader(data_path: str | None) -> Loader:
    """Read what S3 looks like once: it takes most of the time, and the memory, of opening a client."""
    return create_loader(data_path)


def _client(session: Any, server: Server) -> Any:
    config = AioConfig(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        max_pool_connections=REQUESTS_AT_ONCE,
        request_checksum_calculation="when_required",  # the signature covers the body's SHA-256 already
        response_checksum_validation="when_required",
        parameter_validation=False,  # a fifth of what a small request costs; ours are typed
        user_agent="flightline",  # botocore's own is put together anew for every request
        signature_version="s3v4",  # else URLs of older regions get version 2, which few servers know any more
        s3={"addressing_style": "path" if server.endpoint_url else "auto", "payload_signing_enabled": True},
    )
    return _signing(
        session.create_client(
            "s3",
            endpoint_url=server.endpoint_url,
            region_name=server.region,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key.get_secret_value() if server.secret_key else None,
            config=config,
        )
    )


@asynccontextmanager
async def _signing(creating: Any) -> AsyncIterator[Any]:
    async with creating as client:
        sign_hashed_bodies(client)
        watch_calls(client)
        yield client


def _all(_host: str, addresses: Iterable[str]) -> set[str]:
    """Return all addresses: an operator named the server."""
    return set(addresses)
