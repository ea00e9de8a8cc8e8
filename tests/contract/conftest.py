"""Each port once per adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.objects.open import open_objects
from shared.objects.port import ObjectStore
from shared.objects.signing import Signer
from shared.state.open import open_store
from shared.state.port import Store
from tests.support.mongo import REAL_SERVER, new_database
from tests.support.s3 import S3Server
from tests.support.transports import url, world

__all__ = ["url", "world"]

STORES = ["sqlite", "nx-27017", *(["mongodb"] if REAL_SERVER else [])]


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty document store."""
    match request.param:
        case "sqlite":
            return f"sqlite://{tmp_path}/state.db"
        case "nx-27017":
            return new_database(request.getfixturevalue("mongo_url"))
        case _:
            return new_database(REAL_SERVER or "")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """Open an empty document store."""
    async with open_store(store_url) as opened:
        yield opened


@pytest.fixture(params=["file", "s3"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    """Open an empty object store."""
    opening: AbstractAsyncContextManager[ObjectStore]
    if request.param == "file":
        signer = Signer("http://127.0.0.1/objects", SecretStr("secret"))
        opening = open_objects(f"file://{tmp_path}/objects%20here", signer=signer)
    else:
        server: S3Server = request.getfixturevalue("s3")
        opening = server.open(server.new_bucket(), "a/prefix")
    async with opening as store:
        yield store
