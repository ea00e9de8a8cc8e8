"""A client that follows operations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from datalab.domain.asked import AskedOperation
from datalab.domain.computations import Computation
from datalab.execution.collections import COMPUTATIONS
from shared.state import Collection
from tests.datalab.api.calling import SESSIONS
from tests.support.lab import RunningLab


@dataclass
class Stream:
    """A connection, and what comes over it."""

    answer: httpx.Response
    lines: Iterator[str]

    def next(self) -> tuple[str, dict[str, Any]]:
        """Return the next event: its kind and its data."""
        kind = ""
        for line in self.lines:
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                return kind, json.loads(value)
        raise EOFError

    def take(self, count: int) -> list[dict[str, Any]]:
        """Return the data of so many events about operations."""
        found = [self.next() for _ in range(count)]
        assert {kind for kind, _ in found} == {"operation"}
        return [data for _, data in found]

    def until(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return all events about operations up to the first that is as wanted."""
        found: list[dict[str, Any]] = []
        while not (found and wanted.items() <= found[-1].items()):
            found += self.take(1)
        return found

    def rest(self) -> list[tuple[str, dict[str, Any]]]:
        """Return all that comes until the server ends the stream."""
        found = []
        while True:
            try:
                found.append(self.next())
            except EOFError:
                return found


@contextmanager
def following(client: httpx.Client, session: int, operation: int | None = None) -> Iterator[Stream]:
    """Follow a session, or one of its operations."""
    path = f"{SESSIONS}{session}/" + (f"operations/{operation}/" if operation else "")
    with client.stream("GET", f"{path}events/") as answer:
        assert answer.status_code == 200, answer.read()
        yield Stream(answer, answer.iter_lines())


def change(lab: RunningLab, number: int, **changes: Any) -> AskedOperation:
    """Write an operation's document as another process does."""

    async def changed() -> AskedOperation:
        document = await lab.operations.update(f"o{number}", lambda one: one.model_copy(update=changes))
        return document.body

    return lab.do(changed())


def compute(lab: RunningLab, number: int, **changes: Any) -> None:
    """Write the document of an operation's computation as a worker does."""
    computations = Collection(lab.platform.store, COMPUTATIONS, Computation)

    async def changed() -> None:
        key = (await lab.operations.load(f"o{number}")).body.key
        await computations.claim({"id": key}, owner="a worker", hold=timedelta(minutes=1))
        await computations.update(key, lambda one: one.model_copy(update=changes))

    lab.do(changed())
