from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from shared.errors import DamagedError
from shared.messaging import sqlite_queue
from shared.messaging.bus import open_transport
from shared.messaging.port import UNROUTED_QUEUE, Deliveries, Delivery, Message, Transport
from shared.messaging.sqlite import open_sqlite
from tests.support.events import one_queue

QUEUE = "ingest.flight-found"
MESSAGE = Message(b"{}", "flight-found", "e1")

HOLD = """
import asyncio, sys
from pathlib import Path
from shared.messaging.sqlite import open_sqlite

async def main():
    async with open_sqlite(Path(sys.argv[1])) as bus:
        async with bus.consume("ingest.flight-found", prefetch=5) as deliveries:
            await anext(deliveries)
            await asyncio.sleep(0.5)
            print("held", flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""

FORK = """
import os, threading, time

def fork_later():
    time.sleep(0.3)
    if os.fork() == 0:
        time.sleep(8)
        os._exit(0)

threading.Thread(target=fork_later, daemon=True).start()
asyncio.run(main())
"""

PUBLISH = """
import asyncio, sys
from pathlib import Path
from shared.messaging.port import Message
from shared.messaging.sqlite import open_sqlite

async def main():
    async with open_sqlite(Path(sys.argv[1])) as bus:
        await bus.tell("x", b"half")
        await bus.publish(Message(b"{}", "flight-found", "e1"))
        await asyncio.sleep(0.3)

asyncio.run(main())
"""


async def soon(deliveries: Deliveries, within_s: float = 30) -> Delivery:
    async with asyncio.timeout(within_s):
        return await anext(deliveries)


async def declared(transport: Transport) -> None:
    await transport.declare(one_queue())


def child(program: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)


async def killed_holder(path: Path, program: str = HOLD) -> None:
    """Let another process take what waits, and kill it."""
    process = child(program, path)
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "held\n"
    process.kill()
    process.wait()
    process.stdout.close()


async def test_messages_of_a_killed_process_come_back_within_seconds(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "bus.db") as bus:
        await declared(bus)
        await bus.publish(MESSAGE)
        await killed_holder(tmp_path / "bus.db")
        started = time.monotonic()
        async with bus.consume(QUEUE, prefetch=1) as deliveries:
            delivery = await soon(deliveries)

    assert (delivery.message, delivery.attempt) == (MESSAGE, 1)
    assert time.monotonic() - started < 20


async def test_a_stopped_process_keeps_its_messages_until_it_goes_on(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "bus.db") as bus:
        await declared(bus)
        await bus.publish(MESSAGE)
        process = child(HOLD, tmp_path / "bus.db")
        assert process.stdout is not None
        await asyncio.to_thread(process.stdout.readline)
        os.kill(process.pid, signal.SIGSTOP)
        async with bus.consume(QUEUE, prefetch=1) as deliveries:
            with pytest.raises(TimeoutError):
                await soon(deliveries, 2)
        process.kill()
        process.communicate()


async def test_what_another_process_publishes_is_seen_at_once(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "bus.db") as bus, bus.hear() as heard:
        await declared(bus)
        async with bus.consume(QUEUE, prefetch=1) as deliveries:
            process = child(PUBLISH, tmp_path / "bus.db")
            delivery = await soon(deliveries)
            assert delivery.message == MESSAGE
            async with asyncio.timeout(30):
                assert await anext(heard) == b"half"
        await asyncio.to_thread(process.communicate)


async def test_a_message_that_kills_its_consumers_is_buried_in_the_end(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "bus.db") as bus:
        await declared(bus)
        await bus.publish(MESSAGE)
    with sqlite3.connect(tmp_path / "bus.db") as database:
        database.execute(
            "UPDATE messages SET crashes = ?, owner = 'gone:1'", (sqlite_queue.CRASHES_AT_MOST - 1,)
        )
    database.close()

    async with open_sqlite(tmp_path / "bus.db") as bus:
        await asyncio.sleep(0.5)
        [letter] = [letter async for letter in bus.dead_letters(QUEUE)]

    assert letter.death.reason == "delivery_limit"


async def test_a_settlement_that_comes_too_late_changes_nothing(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "bus.db") as bus:
        await declared(bus)
        await bus.publish(MESSAGE)
        async with bus.consume(QUEUE, prefetch=1) as deliveries:
            late = await soon(deliveries)
        await late.ack()

        assert await bus.depth(QUEUE) == 1


async def test_transports_of_one_process_wake_each_other_at_once(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/bus.db"
    async with open_transport(url) as one, open_transport(url) as two:
        await declared(one)
        async with two.consume(QUEUE, prefetch=1) as deliveries:
            delays = []
            for _ in range(5):
                started = time.monotonic()
                await one.publish(MESSAGE)
                await (await soon(deliveries)).ack()
                delays.append(time.monotonic() - started)

    assert sorted(delays)[2] < 0.1


async def test_what_was_published_survives_a_restart(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "bus.db") as bus:
        await declared(bus)
        await bus.publish(MESSAGE)

    async with open_sqlite(tmp_path / "bus.db") as bus, bus.consume(QUEUE, prefetch=1) as deliveries:
        assert (await soon(deliveries)).message == MESSAGE


async def test_a_torn_broadcast_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "bus.db.broadcast").write_bytes(b"not a database" * 1000)

    async with open_sqlite(tmp_path / "bus.db") as bus, bus.hear() as heard:
        await bus.tell("x", b"half")
        async with asyncio.timeout(30):
            assert await anext(heard) == b"half"


async def test_a_damaged_bus_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "bus.db").write_bytes(b"not a database" * 1000)

    with pytest.raises(DamagedError, match=r"bus\.db is damaged"):
        async with open_sqlite(tmp_path / "bus.db"):
            pass

    assert (tmp_path / "bus.db").read_bytes() == b"not a database" * 1000


async def test_a_process_that_only_forked_off_does_not_keep_messages(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "bus.db") as bus:
        await declared(bus)
        await bus.publish(MESSAGE)
        await killed_holder(tmp_path / "bus.db", HOLD.replace("asyncio.run(main())", FORK))
        async with bus.consume(QUEUE, prefetch=1) as deliveries:
            assert (await soon(deliveries, 5)).message == MESSAGE


async def test_a_clean_stop_leaves_no_owner_behind(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "bus.db"):
        pass

    assert list((tmp_path / "bus.db.owners").iterdir()) == []


async def test_what_a_former_release_kept_unrouted_is_looked_at_like_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    async with open_sqlite(path) as bus:
        await bus.declare(one_queue())
    with closing(sqlite3.connect(path, isolation_level=None)) as former:
        former.execute(
            "INSERT INTO messages (queue, available_at, routing_key, event_id, headers, content_type, body)"
            " VALUES ('flightline.unrouted', 0, 'never-found', 'e1', '{}', '', x'00')"
        )

    async with open_sqlite(path) as bus:
        letters = [letter async for letter in bus.dead_letters(UNROUTED_QUEUE)]
        depth = await bus.depth(UNROUTED_QUEUE)

    assert depth == 1
    assert [letter.message for letter in letters] == [Message(b"\0", "never-found", "e1", content_type="")]
