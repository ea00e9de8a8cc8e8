"""A process that works on a document store until it is done or killed, and tells what was acknowledged.

Run as ``store_child write|count|claim URL NAME``; it prints one line per acknowledged operation: an id and,
behind a space, its revision.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.errors import TransientError
from shared.state.open import open_store
from shared.state.port import (
    AlreadyExistsError,
    Claim,
    CollectionSpec,
    Index,
    Lease,
    OutboxEntry,
    Record,
    RevisionError,
    Store,
)

THINGS = CollectionSpec("things", (Index(("state", "n")), Index(("name",), unique=True)))
COUNTER = "counter"
COUNTS = 20


def tell(record_id: str, revision: int) -> None:
    """Print a line in one piece, at once."""
    os.write(1, f"{record_id} {revision}\n".encode())


async def write(store: Store, name: str) -> None:
    """Insert and swap for ever, eight at a time."""
    numbers = itertools.count()

    async def work() -> None:
        for n in numbers:
            record = Record(f"{name}-{n}", {"n": n, "name": f"{name}-{n}", "state": "new"})
            await insisting(store, record, swapping=False)
            changed = replace(record, revision=2, outbox=(OutboxEntry("e", "t", "{}"),))
            await insisting(store, changed, swapping=True)

    await asyncio.gather(*(work() for _ in range(8)))


async def insisting(store: Store, record: Record, *, swapping: bool) -> None:
    """Write ``record``, again while the store is away; a write of unknown outcome may have happened."""
    while True:
        try:
            await (store.swap if swapping else store.insert)("things", record)
        except TransientError:
            await asyncio.sleep(0.05)
        except (RevisionError, AlreadyExistsError):
            return
        else:
            tell(record.id, record.revision)
            return


async def count(store: Store, _name: str) -> None:
    """Count up one document by compare-and-swap."""
    for _ in range(COUNTS):
        while True:
            record = await store.get("things", COUNTER)
            assert record is not None
            wanted = replace(record, revision=record.revision + 1, body={"n": record.body["n"] + 1})
            try:
                await store.swap("things", wanted)
            except RevisionError:
                continue
            tell(COUNTER, wanted.revision)
            break


async def claim(store: Store, name: str) -> None:
    """Claim until nothing is left."""
    now = datetime.now(UTC)
    wanted = Claim({"state": "new"}, Lease(name, now + timedelta(hours=1)), now)
    while record := await store.claim("things", wanted):
        tell(record.id, record.revision)


async def main(task: str, url: str, name: str) -> None:
    """Open the store and work on it."""
    async with open_store(url) as store:
        await store.declare(THINGS)
        await {"write": write, "count": count, "claim": claim}[task](store, name)


def run() -> None:
    """Do what the command line says."""
    asyncio.run(main(*sys.argv[1:]))
