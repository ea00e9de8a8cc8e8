"""The document store in MongoDB, by operations that MongoDB-compatible servers get right too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from shared.errors import InvalidInputError, PermanentError, StorageFullError, TransientError
from shared.state.metrics import note_taken
from shared.state.mongo_form import (
    INDEXED_ID,
    Bson,
    behind,
    flat,
    indexed,
    matching,
    matching_all,
    sort_keys,
    tag,
    to_document,
    to_record,
    to_update,
    unique_name,
)
from shared.state.port import (
    AlreadyExistsError,
    Claim,
    CollectionSpec,
    Order,
    Page,
    Record,
    RevisionError,
    Where,
)
from shared.state.query import Catalogue, Found, Position, Query, check_id, check_limit, to_us

try:
    from bson.errors import BSONError
    from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
    from pymongo import ASCENDING, ReturnDocument
    from pymongo.errors import (
        ConfigurationError,
        ConnectionFailure,
        DocumentTooLarge,
        DuplicateKeyError,
        ExecutionTimeout,
        InvalidURI,
        OperationFailure,
        PyMongoError,
        WriteConcernError,
    )
except ImportError as missing:
    raise PermanentError("MongoDB needs the extra shared[mongo]: pip install 'shared[mongo]'") from missing

DATABASE = "flightline"
ANSWER_WITHIN_MS = 5_000
BACKFILL_AT_ONCE = 200
_REFUSED_CODES = {13, 18, 8000}  # Unauthorized, AuthenticationFailed, AtlasError
_DISK_FULL_CODE = 14031  # OutOfDiskSpace


@asynccontextmanager
async def open_mongo(url: str) -> AsyncIterator[MongoStore]:
    """Open the database that ``url`` names; without a name, ``flightline``.

    Raises:
        InvalidInputError: The URL cannot be read.
        TransientError: The server did not answer within five seconds.
        PermanentError: The server refused us.
    """
    try:
        client: AsyncIOMotorClient[Bson] = AsyncIOMotorClient(
            url,
            w="majority",
            journal=True,
            wTimeoutMS=10_000,
            retryWrites=True,
            serverSelectionTimeoutMS=ANSWER_WITHIN_MS,
            connectTimeoutMS=ANSWER_WITHIN_MS,
            socketTimeoutMS=30_000,
            appname="flightline",
        )
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise InvalidInputError(f"cannot read the MongoDB URL: {error}", field="url") from error
    try:
        store = MongoStore(client.get_default_database(DATABASE))
        await store.ping()
        yield store
    finally:
        client.close()


class MongoStore:
    """The store in ``database``."""

    def __init__(self, database: AsyncIOMotorDatabase[Bson]) -> None:
        self._database = database
        self._declared = Catalogue()

    async def declare(self, *collections: CollectionSpec) -> None:
        """Make indexes that are missing, and bring documents under them that were written before."""
        self._declared.add(collections)
        for spec in collections:
            with translated(spec.name):
                await self._make_indexes(spec)
                await self._backfill(spec)

    async def insert(self, collection: str, record: Record) -> None:
        """Add ``record``.

        Raises:
            AlreadyExistsError: Its id or a unique value is taken.
        """
        document = to_document(self._declared[collection], record)
        if record.outbox:
            document["outbox_since"] = to_us(datetime.now(UTC))
        with translated(f"{collection}/{record.id}"):
            await self._database[collection].insert_one(document)

    async def get(self, collection: str, record_id: str) -> Record | None:
        """Return the document, or None."""
        self._declared[collection]
        check_id(record_id)
        with translated(collection):
            document = await self._database[collection].find_one({"_id": record_id})
        return to_record(document) if document else None

    async def swap(self, collection: str, record: Record) -> None:
        """Replace the stored document by ``record`` if it still has revision ``record.revision - 1``.

        Raises:
            RevisionError: It has another revision, or is gone.
            AlreadyExistsError: A unique value is taken.
        """
        found = {"_id": check_id(record.id), "revision": record.revision - 1}
        update = to_update(to_document(self._declared[collection], record))
        with translated(f"{collection}/{record.id}"):
            outcome = await self._database[collection].update_one(found, update)
        _expect_one(outcome.matched_count, record.id)

    async def claim(self, collection: str, claim: Claim) -> Record | None:
        """Lease the first matching document that nobody holds a live lease on; None: there is none."""
        query = self._declared.query(collection, claim.where, claim.order)
        lease = {"lease_owner": claim.lease.owner, "lease_until": to_us(claim.lease.until)}
        with translated(collection):
            document = await self._database[collection].find_one_and_update(
                matching_all([*matching(query.where), {"lease_until": {"$lte": to_us(claim.now)}}]),
                {"$set": lease, "$inc": {"revision": 1}},
                sort=sort_keys(query),
                return_document=ReturnDocument.BEFORE,
            )
        if document is None:
            return None
        before = to_record(document)
        note_taken(collection, before)
        return replace(before, revision=before.revision + 1, lease=claim.lease)

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        order: Order | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page:
        """Return a page of matching documents; ``after`` is the cursor of the page before.

        Raises:
            InvalidInputError: ``where`` or ``order`` fit no declared index, or the cursor is another query's.
        """
        query = self._declared.query(collection, where, order)
        start = query.start(after)
        check_limit(limit)
        documents = await self._documents(query, start, limit + 1)
        found = Found(documents[:limit], to_record)
        versions = [(document["_id"], document["revision"]) for document in documents[:limit]]
        return Page(found, query.cursor(found[-1]) if len(documents) > limit else None, versions)

    async def count(self, collection: str, where: Where) -> int:
        """Return how many documents match."""
        query = self._declared.query(collection, where)
        with translated(collection):
            return await self._database[collection].count_documents(matching_all(matching(query.where)))

    async def delete(self, collection: str, record: Record) -> None:
        """Delete the document if it still has ``record.revision``.

        Raises:
            RevisionError: It has another revision, or is gone.
        """
        self._declared[collection]
        with translated(collection):
            outcome = await self._database[collection].delete_one(
                {"_id": record.id, "revision": record.revision}
            )
        _expect_one(outcome.deleted_count, record.id)

    async def pending(self, collection: str, limit: int = 100) -> Sequence[Record]:
        """Return documents whose outbox is not empty, those that wait longest first."""
        self._declared[collection]
        with translated(collection):
            cursor = self._database[collection].find({"outbox_since": {"$gt": 0}})
            documents = await cursor.sort("outbox_since", ASCENDING).limit(limit).to_list(limit)
        return [to_record(document) for document in documents]

    async def purge_expired(self, collection: str, now: datetime) -> int:
        """Delete documents whose time is over and whose outbox is empty; return how many."""
        self._declared[collection]
        with translated(collection):
            outcome = await self._database[collection].delete_many(
                {"expires_at": {"$lte": to_us(now)}, "outbox_since": {"$exists": False}}
            )
        return outcome.deleted_count

    async def ping(self) -> None:
        """Return if the store answers."""
        with translated(self._database.name):
            await self._database.command("ping")

    async def _make_indexes(self, spec: CollectionSpec) -> None:
        collection = self._database[spec.name]
        await collection.create_index("outbox_since", sparse=True)
        await collection.create_index("expires_at", sparse=True)
        for index in spec.indexes:
            if index.unique:
                await collection.create_index(f"unique.{unique_name(index)}", unique=True, sparse=True)
            keys = [(f"index.{flat(name)}", ASCENDING) for name in index.fields]
            await collection.create_index([*keys, (INDEXED_ID, ASCENDING)])

    async def _backfill(self, spec: CollectionSpec) -> None:
        collection = self._database[spec.name]
        older = {"indexed_as": {"$ne": tag(spec)}}
        while documents := await collection.find(older).limit(BACKFILL_AT_ONCE).to_list(BACKFILL_AT_ONCE):
            for document in documents:
                found = {"_id": document["_id"], "revision": document["revision"]}
                fields = indexed(spec, document["_id"], json.loads(document["body"]))
                await collection.update_one(found, {"$set": fields})

    async def _documents(self, query: Query, start: Position | None, limit: int) -> list[Bson]:
        documents: list[Bson] = []
        for following in behind(query, start):
            if len(documents) < limit:
                wanted = limit - len(documents)
                with translated(query.spec.name):
                    cursor = self._database[query.spec.name].find(
                        matching_all([*matching(query.where), *following])
                    )
                    documents += await cursor.sort(sort_keys(query)).limit(wanted).to_list(wanted)
        return documents


def _expect_one(count: int, record_id: str) -> None:
    if count != 1:
        raise RevisionError(f"{record_id} was changed or deleted by somebody else")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn what the driver raises about ``where`` into what a caller can act on."""
    try:
        yield
    except DuplicateKeyError as error:
        raise AlreadyExistsError(f"{where}: the id or a unique value is taken") from error
    except (DocumentTooLarge, BSONError, OverflowError) as error:
        raise InvalidInputError(f"{where}: MongoDB cannot keep this document: {error}") from error
    except PyMongoError as error:
        raise _meaning(error, where) from error


def _meaning(error: PyMongoError, where: str) -> Exception:
    code = error.code if isinstance(error, OperationFailure) else None
    if code == _DISK_FULL_CODE:
        return StorageFullError(f"{where}: the MongoDB server has no space left")
    if code in _REFUSED_CODES:
        return PermanentError(f"{where}: MongoDB refused us; check user, password and rights: {error}")
    unsure = (ConnectionFailure, ExecutionTimeout, WriteConcernError)
    if isinstance(error, unsure) or error.has_error_label("RetryableWriteError"):
        return TransientError(f"{where}: MongoDB is out of reach or busy, a write may have happened: {error}")
    return PermanentError(f"{where}: MongoDB answered: {error}")
