"""Each port once per adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.state.open import open_store
from shared.state.port import Store
from tests.support.mongo import REAL_SERVER, new_database

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
