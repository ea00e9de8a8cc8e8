"""What only the store in MongoDB does: its documents, its server's absence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import AutoReconnect, ExecutionTimeout, NotPrimaryError, OperationFailure

from shared.errors import InvalidInputError, PermanentError, StorageFullError, TransientError
from shared.state.mongo import MongoStore, open_mongo, translated
from shared.state.port import CollectionSpec, Index, OutboxEntry, Record
from tests.support.mongo import mongo_server, new_database
from tests.support.processes import free_port

SPEC = CollectionSpec("flights", (Index(("state", "site.code")), Index(("name",), unique=True)))


@pytest.fixture
async def database(mongo_url: str) -> AsyncIterator[AsyncIOMotorDatabase[dict[str, Any]]]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(new_database(mongo_url))
    yield client.get_default_database()
    client.close()


async def test_a_document_repeats_only_what_it_is_found_by(
    database: AsyncIOMotorDatabase[dict[str, Any]],
) -> None:
    store = MongoStore(database)
    await store.declare(SPEC)
    await store.insert(
        "flights", Record("1", {"state": "new", "site": {"code": True}, "name": "a", "x.y": {"$z": 1}})
    )

    stored = await database["flights"].find_one({})
    assert stored is not None
    assert stored["body"] == '{"state":"new","site":{"code":true},"name":"a","x.y":{"$z":1}}'
    assert stored["index"] == {"id": "1", "state": "new", "site__code": 1, "name": "a"}
    assert stored["unique"] == {"name": '["a"]'}


async def test_an_emptied_document_keeps_no_trace_of_its_outbox(
    database: AsyncIOMotorDatabase[dict[str, Any]],
) -> None:
    store = MongoStore(database)
    await store.declare(SPEC)
    record = Record("1", {}, outbox=(OutboxEntry("e", "t", "{}"),))
    await store.insert("flights", record)
    await store.swap("flights", replace(record, revision=2, outbox=()))

    stored = await database["flights"].find_one({})
    assert stored is not None
    assert {"outbox", "outbox_since", "expires_at", "lease_owner"}.isdisjoint(stored)


async def test_a_document_too_large_is_refused(database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
    store = MongoStore(database)
    await store.declare(SPEC)

    with pytest.raises(InvalidInputError, match="cannot keep"):
        await store.insert("flights", Record("1", {"x": "y" * (17 << 20)}))


@pytest.mark.timeout(60)
async def test_a_server_that_goes_and_comes_back_is_used_again(tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as server:
        url = server.enter_context(mongo_server(tmp_path, port))
        async with open_mongo(url) as store:
            await store.declare(SPEC)
            server.close()
            with pytest.raises(TransientError, match="out of reach"):
                await store.insert("flights", Record("1", {}))
            server.enter_context(mongo_server(tmp_path, port))
            await store.insert("flights", Record("2", {}))
            assert await store.get("flights", "2") is not None


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (AutoReconnect("gone"), TransientError),
        (NotPrimaryError("stepped down"), TransientError),
        (ExecutionTimeout("slow", 50), TransientError),
        (OperationFailure("full", 14031), StorageFullError),
        (OperationFailure("who are you", 18), PermanentError),
        (OperationFailure("no such operator", 2), PermanentError),
    ],
)
def test_what_the_driver_raises_is_translated(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught, translated("flights"):
        raise raised

    assert caught.type is expected
