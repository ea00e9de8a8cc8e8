"""How fast the document stores are, beside what lies under them.

    python -m bench.state [--json] [--documents 4000] [--repeats 5]

Peers run interleaved on the same disk: bare sqlite3 with the same PRAGMAs (one insert per commit, as a
program with one connection has it), and motor on the same nx-27017. Figures are medians, per second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from motor.motor_asyncio import AsyncIOMotorClient
from tests.support.mongo import mongo_server, new_database

from shared.sqlite import connect
from shared.state.open import open_store
from shared.state.port import CollectionSpec, Index, Order, Record, Store

CALLERS = 64
PAGE = 50
SPEC = CollectionSpec("flights", (Index(("state", "found_at")), Index(("name",), unique=True)))

Rates = dict[str, float]


def body(n: int) -> dict[str, Any]:
    """Return a document of some 400 bytes."""
    return {"state": f"s{n % 10}", "found_at": n, "name": f"flight {n}", "note": "x" * 300}


async def rate(times: int, operation: Callable[[int], Awaitable[object]], callers: int = CALLERS) -> float:
    """Return how often per second ``operation`` ends, asked for by ``callers`` at once."""
    numbers = iter(range(times))

    async def call() -> None:
        for n in numbers:
            await operation(n)

    began = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    return times / (time.perf_counter() - began)


async def measure_store(store: Store, documents: int) -> Rates:
    """Measure one of our stores."""
    await store.declare(SPEC)
    rates = {"insert": await rate(documents, lambda n: store.insert("flights", Record(str(n), body(n))))}
    rates["get"] = await rate(documents * 4, lambda n: store.get("flights", str(n % documents)))
    rates["get, one caller"] = await rate(documents // 4, lambda n: store.get("flights", str(n)), 1)
    order = Order("found_at", descending=True)
    rates["find 50"] = await rate(
        documents // 10, lambda n: store.find("flights", {"state": f"s{n % 10}"}, order=order, limit=PAGE)
    )
    rates["count"] = await rate(documents // 10, lambda n: store.count("flights", {"state": f"s{n % 10}"}))
    return rates


async def measure_url(url: str, documents: int) -> Rates:
    """Measure our store at ``url``."""
    async with open_store(url) as store:
        return await measure_store(store, documents)


def measure_sqlite3(path: Path, documents: int) -> Rates:
    """Measure sqlite3 without us: one connection, one thread, one commit per insert."""
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE flights (id TEXT PRIMARY KEY, body TEXT)")
        for field in ("state", "name"):
            connection.execute(f"CREATE INDEX {field} ON flights (json_extract(body, '$.{field}'))")
        began = time.perf_counter()
        for n in range(documents):
            connection.execute("INSERT INTO flights VALUES (?, ?)", (str(n), json.dumps(body(n))))
        inserted = time.perf_counter()
        for n in range(documents * 4):
            row = connection.execute(
                "SELECT body FROM flights WHERE id = ?", (str(n % documents),)
            ).fetchone()
            json.loads(row[0])
        read = time.perf_counter()
    return {"insert": documents / (inserted - began), "get": documents * 4 / (read - inserted)}


async def measure_motor(url: str, documents: int) -> Rates:
    """Measure motor without us."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(url, w="majority", journal=True)
    try:
        flights: Any = client.get_default_database()["flights"]
        await flights.create_index([("state", 1), ("found_at", 1)])
        await flights.create_index("name", unique=True, sparse=True)
        rates = {"insert": await rate(documents, lambda n: flights.insert_one({"_id": str(n), **body(n)}))}
        rates["get"] = await rate(documents, lambda n: flights.find_one({"_id": str(n)}))
        return rates
    finally:
        client.close()


async def measure_all(documents: int, repeats: int) -> dict[str, Rates]:
    """Measure everything in turn, and return medians."""
    runs: dict[str, list[Rates]] = {}
    few = documents // 4  # the server is slow
    with tempfile.TemporaryDirectory() as folder, mongo_server(Path(folder)) as mongo:
        for _ in range(repeats):
            path = Path(folder) / uuid4().hex
            measured = {
                "SqliteStore": await measure_url(f"sqlite://{path}.ours.db", documents),
                "bare sqlite3": await asyncio.to_thread(measure_sqlite3, Path(f"{path}.bare.db"), documents),
                "MongoStore on nx-27017": await measure_url(new_database(mongo), few),
                "motor on nx-27017": await measure_motor(new_database(mongo), few),
            }
            for name, rates in measured.items():
                runs.setdefault(name, []).append(rates)
    return {name: medians(rates) for name, rates in runs.items()}


def medians(runs: list[Rates]) -> Rates:
    """Return the median of each figure."""
    return {what: round(statistics.median(run[what] for run in runs)) for what in runs[0]}


def table(figures: dict[str, Rates]) -> str:
    """Return figures as a table."""
    columns = list(figures["SqliteStore"])
    rows = [["per second", *columns]]
    rows += [
        [name, *(f"{rates[c]:,.0f}" if c in rates else "-" for c in columns)]
        for name, rates in figures.items()
    ]
    return "\n".join(f"{row[0]:24}" + "".join(f"{cell:>18}" for cell in row[1:]) for row in rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = asyncio.run(measure_all(arguments.documents, arguments.repeats))
    print(json.dumps(figures, indent=1) if arguments.json else table(figures))


if __name__ == "__main__":
    main()
