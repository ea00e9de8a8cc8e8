"""Opening stores by URL."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shared.errors import DamagedError, InvalidInputError, TransientError
from shared.state.open import open_store
from shared.state.port import CollectionSpec, Index, Record
from tests.support.processes import free_port


@pytest.mark.parametrize(
    "url",
    [
        "",
        "state.db",
        "redis://x",
        "sqlite://relative/state.db",
        "sqlite:///",
        "mongodb://",
        "mongodb://a:b:c/x",
    ],
)
async def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        async with open_store(url):
            pass


async def test_a_damaged_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"precious" * 1000)

    with pytest.raises(DamagedError):
        async with open_store(f"sqlite://{tmp_path}/state.db"):
            pass
    assert (tmp_path / "state.db").read_bytes() == b"precious" * 1000


async def test_a_server_that_is_away_is_told_within_seconds() -> None:
    began = time.monotonic()

    with pytest.raises(TransientError, match="out of reach"):
        async with open_store(f"mongodb://127.0.0.1:{free_port()}/x"):
            pass
    assert time.monotonic() - began < 20  # pymongo itself would wait for 30


async def test_without_a_name_the_database_is_flightline(mongo_url: str) -> None:
    spec = CollectionSpec("opened", (Index(("n",)),))
    async with open_store(mongo_url) as store:
        await store.declare(spec)
        await store.insert("opened", Record("1", {"n": 1}))
    async with open_store(f"{mongo_url}/flightline") as store:
        await store.declare(spec)
        assert await store.count("opened", {"n": 1}) == 1
