"""The SQLite bus as SQL: each function is one step inside a transaction that its caller owns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.errors import NotFoundError
from shared.messaging.port import (
    UNROUTED_QUEUE,
    DeadLetter,
    Death,
    Message,
    QueueCounts,
    Topology,
    UnroutableError,
    unrouted,
)
from shared.messaging.topology import work_queue

CRASHES_AT_MOST = 50
"""A message that was in the hands of so many killed processes is taken for what kills them."""

_MESSAGE = "routing_key, event_id, headers, content_type, body"

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS bindings (
        queue TEXT NOT NULL, routing_key TEXT NOT NULL, PRIMARY KEY (routing_key, queue)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, available_at REAL NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 1, crashes INTEGER NOT NULL DEFAULT 0, owner TEXT,
        routing_key TEXT NOT NULL, event_id TEXT NOT NULL, headers TEXT NOT NULL,
        content_type TEXT NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS ready ON messages (queue, available_at, id) WHERE owner IS NULL",
    "CREATE INDEX IF NOT EXISTS owned ON messages (owner) WHERE owner IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS dead (
        id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, reason TEXT NOT NULL, error TEXT NOT NULL,
        trace TEXT NOT NULL, attempts INTEGER NOT NULL, died_at REAL NOT NULL,
        routing_key TEXT NOT NULL, event_id TEXT NOT NULL, headers TEXT NOT NULL,
        content_type TEXT NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS dead_in_queue ON dead (queue, id)",
    "CREATE TABLE IF NOT EXISTS tails (owner TEXT PRIMARY KEY) WITHOUT ROWID",
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A message in somebody's hands."""

    id: int
    attempt: int
    message: Message


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a message went: its queues, and whether somebody follows all events."""

    queues: Sequence[str]
    tailed: bool


def create(connection: sqlite3.Connection) -> None:
    """Make the tables that are missing."""
    for statement in _SCHEMA:
        connection.execute(statement)
    _bury_unrouted(connection)


def _bury_unrouted(connection: sqlite3.Connection) -> None:
    """Move what a former release kept among the messages to where it can be looked at."""
    kept = connection.execute(
        f"SELECT id, available_at, {_MESSAGE} FROM messages WHERE queue = ? AND owner IS NULL",  # noqa: S608 - a constant
        (UNROUTED_QUEUE,),
    )
    for message_id, at, *columns in kept.fetchall():
        _keep_unrouted(connection, _message(columns), at)
        connection.execute("DELETE FROM messages WHERE id = ?", (message_id,))


def _keep_unrouted(connection: sqlite3.Connection, message: Message, now: float) -> None:
    letter = DeadLetter("", UNROUTED_QUEUE, message, unrouted(message.routing_key), None)
    restore(connection, letter, now)


def bind(connection: sqlite3.Connection, topology: Topology) -> None:
    """Make every queue of ``topology``."""
    connection.executemany(
        "INSERT OR IGNORE INTO bindings (queue, routing_key) VALUES (?, ?)",
        [(each.queue, each.event_type) for each in topology.subscriptions],
    )


def is_bound(connection: sqlite3.Connection, queue: str) -> bool:
    """Return whether somebody declared ``queue``."""
    found = connection.execute("SELECT 1 FROM bindings WHERE queue = ? LIMIT 1", (queue,)).fetchone()
    return found is not None


def put(connection: sqlite3.Connection, message: Message, now: float) -> Routed:
    """Add ``message`` to every queue bound to its routing key, or to the unrouted ones."""
    bound = connection.execute("SELECT queue FROM bindings WHERE routing_key = ?", (message.routing_key,))
    queues = [queue for (queue,) in bound]
    columns = _columns(message)
    connection.executemany(
        f"INSERT INTO messages (queue, available_at, {_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        [(queue, now, *columns) for queue in queues],
    )
    if not queues:
        _keep_unrouted(connection, message, now)
    tailed = connection.execute("SELECT 1 FROM tails LIMIT 1").fetchone() is not None
    return Routed(queues, tailed)


def take(connection: sqlite3.Connection, queue: str, owner: str, limit: int, now: float) -> list[Taken]:
    """Hand up to ``limit`` waiting messages to ``owner``, oldest first."""
    rows = connection.execute(
        f"""UPDATE messages SET owner = ? WHERE id IN (
                SELECT id FROM messages WHERE queue = ? AND owner IS NULL AND available_at <= ?
                ORDER BY available_at, id LIMIT ?)
            RETURNING available_at, id, attempt, {_MESSAGE}""",  # noqa: S608 - a constant
        (owner, queue, now, limit),
    ).fetchall()
    rows.sort(key=lambda row: (row[0], row[1]))
    return [Taken(row[1], row[2], _message(row[3:])) for row in rows]


def next_due(connection: sqlite3.Connection, queue: str) -> float | None:
    """Return when the next message of ``queue`` that nobody holds is to be delivered."""
    row = connection.execute(
        "SELECT min(available_at) FROM messages WHERE queue = ? AND owner IS NULL", (queue,)
    ).fetchone()
    due: float | None = row[0]
    return due


def acknowledge(connection: sqlite3.Connection, message_id: int, owner: str) -> bool:
    """Remove a message; False: ``owner`` does not hold it any more."""
    gone = connection.execute("DELETE FROM messages WHERE id = ? AND owner = ?", (message_id, owner))
    return gone.rowcount == 1


def postpone(connection: sqlite3.Connection, message_id: int, owner: str, until: float) -> bool:
    """Let a message come again as the next attempt; False: ``owner`` does not hold it any more."""
    moved = connection.execute(
        "UPDATE messages SET owner = NULL, attempt = attempt + 1, available_at = ?"
        " WHERE id = ? AND owner = ?",
        (until, message_id, owner),
    )
    return moved.rowcount == 1


def give_back(connection: sqlite3.Connection, owner: str, keep: Iterable[int] = ()) -> None:
    """Put back what ``owner`` holds, except ``keep``."""
    kept = json.dumps(list(keep))
    connection.execute(
        "UPDATE messages SET owner = NULL WHERE owner = ? AND id NOT IN (SELECT value FROM json_each(?))",
        (owner, kept),
    )


def give_back_one(connection: sqlite3.Connection, message_id: int, owner: str) -> bool:
    """Put one message back; False: ``owner`` does not hold it any more."""
    moved = connection.execute(
        "UPDATE messages SET owner = NULL WHERE id = ? AND owner = ?", (message_id, owner)
    )
    return moved.rowcount == 1


def bury(connection: sqlite3.Connection, message_id: int, owner: str, death: Death, now: float) -> bool:
    """Move a message to the dead letters; False: ``owner`` does not hold it any more."""
    buried = connection.execute(
        f"""INSERT INTO dead (queue, reason, error, trace, attempts, died_at, {_MESSAGE})
            SELECT queue, ?, ?, ?, ?, ?, {_MESSAGE} FROM messages WHERE id = ? AND owner = ?""",  # noqa: S608 - a constant
        (death.reason, death.error, death.trace, death.attempts, now, message_id, owner),
    )
    return buried.rowcount == 1 and acknowledge(connection, message_id, owner)


def orphans(connection: sqlite3.Connection, is_alive: Callable[[str], bool]) -> list[str]:
    """Return the holders of messages, and followers of all events, whose process has ended."""
    rows = connection.execute(
        "SELECT DISTINCT owner FROM messages WHERE owner IS NOT NULL UNION SELECT owner FROM tails"
    )
    return [owner for (owner,) in rows if not is_alive(owner.partition(":")[0])]


def release_orphans(connection: sqlite3.Connection, owners: Sequence[str], now: float) -> None:
    """Put back what ended processes held; what too many ended with becomes a dead letter."""
    for owner in owners:
        connection.execute("DELETE FROM tails WHERE owner = ?", (owner,))
        connection.execute("UPDATE messages SET crashes = crashes + 1 WHERE owner = ?", (owner,))
        suspects = connection.execute(
            "SELECT id, attempt FROM messages WHERE owner = ? AND crashes >= ?", (owner, CRASHES_AT_MOST)
        ).fetchall()
        for message_id, attempt in suspects:
            error = f"{CRASHES_AT_MOST} processes ended while they held this message"
            bury(connection, message_id, owner, Death("delivery_limit", error, attempts=attempt), now)
        give_back(connection, owner)


def depth(connection: sqlite3.Connection, queue: str, now: float) -> int:
    """Return how many messages of ``queue`` could be delivered now, or, of dead letters, are there."""
    row = connection.execute(
        """SELECT (SELECT count(*) FROM messages WHERE queue = ? AND owner IS NULL AND available_at <= ?)
                + (SELECT count(*) FROM dead WHERE queue = ?)""",
        (queue, now, work_queue(queue)),
    ).fetchone()
    count: int = row[0]
    return count


def counts(connection: sqlite3.Connection, queue: str, now: float) -> QueueCounts | None:
    """Return what lies in ``queue`` and beside it; None: nobody declared it."""
    if not is_bound(connection, queue):
        return None
    ready, in_hand, retrying, oldest = connection.execute(
        """SELECT count(*) FILTER (WHERE owner IS NULL AND available_at <= :now),
                  count(*) FILTER (WHERE owner IS NOT NULL),
                  count(*) FILTER (WHERE owner IS NULL AND available_at > :now),
                  min(available_at) FILTER (WHERE owner IS NULL AND available_at <= :now)
           FROM messages WHERE queue = :queue""",
        {"queue": queue, "now": now},
    ).fetchone()
    (dead,) = connection.execute("SELECT count(*) FROM dead WHERE queue = ?", (queue,)).fetchone()
    oldest_s = None if oldest is None else max(0.0, now - oldest)
    return QueueCounts(ready, in_hand, retrying, dead, consumers=None, oldest_s=oldest_s)


def dead_after(connection: sqlite3.Connection, queue: str, after: int, limit: int) -> list[DeadLetter]:
    """Return a page of dead letters, oldest first."""
    rows = connection.execute(
        f"""SELECT id, reason, error, trace, attempts, died_at, {_MESSAGE} FROM dead
            WHERE queue = ? AND id > ? ORDER BY id LIMIT ?""",  # noqa: S608 - a constant
        (queue, after, limit),
    )
    return [
        DeadLetter(
            str(row[0]), queue, _message(row[6:]), Death(*row[1:5]), datetime.fromtimestamp(row[5], UTC)
        )
        for row in rows
    ]


def last_dead(connection: sqlite3.Connection, queue: str) -> int:
    """Return the id of the newest dead letter of ``queue``, 0 where there is none."""
    row = connection.execute("SELECT coalesce(max(id), 0) FROM dead WHERE queue = ?", (queue,)).fetchone()
    last: int = row[0]
    return last


def replay(connection: sqlite3.Connection, queue: str, letter_id: str, now: float) -> list[str]:
    """Move a dead letter back to its queue, or to all who want by now what nobody wanted; return which.

    It is a first attempt there.

    Raises:
        NotFoundError: There is no such dead letter.
        UnroutableError: Nobody wants it still.
    """
    letter = "queue = ? AND id = ?"
    of = f"(SELECT routing_key FROM dead WHERE {letter})"  # noqa: S608 - a constant
    bound = connection.execute(f"SELECT queue FROM bindings WHERE routing_key = {of}", (queue, letter_id))  # noqa: S608
    targets = [target for (target,) in bound] if queue == UNROUTED_QUEUE else [queue]
    connection.executemany(
        f"""INSERT INTO messages (queue, available_at, {_MESSAGE})
            SELECT ?, ?, {_MESSAGE} FROM dead WHERE {letter}""",  # noqa: S608 - a constant
        [(target, now, queue, letter_id) for target in targets],
    )
    discard(connection, queue, letter_id)
    if not targets:
        raise UnroutableError(f"nobody wants the dead letter {letter_id}")
    return targets


def discard(connection: sqlite3.Connection, queue: str, letter_id: str) -> None:
    """Delete a dead letter.

    Raises:
        NotFoundError: There is no such dead letter.
    """
    gone = connection.execute("DELETE FROM dead WHERE queue = ? AND id = ?", (queue, letter_id))
    if gone.rowcount == 0:
        raise NotFoundError(f"{queue} has no dead letter {letter_id}")


def restore(connection: sqlite3.Connection, letter: DeadLetter, now: float) -> None:
    """Add a dead letter that was there before."""
    death, died_at = letter.death, letter.died_at.timestamp() if letter.died_at else now
    connection.execute(
        f"""INSERT INTO dead (queue, reason, error, trace, attempts, died_at, {_MESSAGE})
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",  # noqa: S608 - a constant
        (
            letter.queue, death.reason, death.error, death.trace, death.attempts, died_at,
            *_columns(letter.message),
        ),
    )  # fmt: skip


def _columns(message: Message) -> tuple[str, str, str, str, bytes]:
    headers = json.dumps(dict(message.headers), default=str)
    return message.routing_key, message.event_id, headers, message.content_type, message.body


def _message(columns: Sequence[str | bytes]) -> Message:
    routing_key, event_id, headers, content_type, body = columns
    assert isinstance(body, bytes)
    return Message(body, str(routing_key), str(event_id), json.loads(headers), str(content_type))
