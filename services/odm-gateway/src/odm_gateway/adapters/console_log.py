"""Console lines in the document store, in chunks: neither a write nor a document grows with the log."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from shared.state import Between, Collection, CollectionSpec, Index, Order

CHUNK_LINES = 250


class ConsoleChunk(BaseModel):
    """Some consecutive lines of one run of a task."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    run: int
    first_line: int
    lines: tuple[str, ...]


CONSOLE = CollectionSpec("odm_console", (Index(("task_id", "run", "first_line")),))


class ConsoleLog:
    """The console of every task; each run of a task begins an empty one."""

    def __init__(self, chunks: Collection[ConsoleChunk]) -> None:
        self._chunks = chunks

    async def append(self, task_id: str, run: int, first_line: int, lines: Sequence[str]) -> None:
        """Add lines that begin at ``first_line``; those that are there already are not doubled."""
        for start in range(first_line - first_line % CHUNK_LINES, first_line + len(lines), CHUNK_LINES):
            low, high = max(start, first_line), min(start + CHUNK_LINES, first_line + len(lines))
            await self._fill(task_id, run, low, lines[low - first_line : high - first_line])

    async def _fill(self, task_id: str, run: int, line: int, lines: Sequence[str]) -> None:
        offset = line % CHUNK_LINES
        start = line - offset
        chunk = ConsoleChunk(task_id=task_id, run=run, first_line=start, lines=tuple(lines))
        name = f"{task_id}.{run}.{start}"
        if offset == 0:
            _, is_new = await self._chunks.ensure(name, chunk)
            if is_new:
                return
        await self._chunks.update(name, lambda old: _extended(old, offset, lines))

    async def lines(self, task_id: str, run: int, first_line: int = 0) -> list[str]:
        """Return the lines of a run from ``first_line`` on."""
        start = first_line - first_line % CHUNK_LINES
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await self._chunks.find(
                {"task_id": task_id, "run": run, "first_line": Between(low=start)},
                order=Order("first_line"),
                limit=100,
                after=cursor,
            )
            found += [line for document in page.items for line in document.body.lines]
            cursor = page.cursor
            if cursor is None:
                return found[first_line - start :]

    async def count(self, task_id: str, run: int) -> int:
        """Return how many lines a run has written."""
        last = await self._chunks.find(
            {"task_id": task_id, "run": run}, order=Order("first_line", descending=True), limit=1
        )
        return sum(document.body.first_line + len(document.body.lines) for document in last.items)

    async def remove(self, task_id: str, *, before_run: int | None = None) -> None:
        """Delete a task's lines, or those of its runs before ``before_run``."""
        while True:
            page = await self._chunks.find({"task_id": task_id, "run": Between(high=before_run)})
            for document in page.items:
                await self._chunks.delete(document)
            if not page.items:
                return


def _extended(old: ConsoleChunk, offset: int, lines: Sequence[str]) -> ConsoleChunk:
    return old.model_copy(update={"lines": (*old.lines[:offset], *lines)})
