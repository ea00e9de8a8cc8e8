"""The mover's journal: a line before each move, so that a run that was killed is finished by the next."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from mover.domain.moves import OPEN, Move, MoveState
from shared.errors import NotFoundError
from shared.state import AlreadyExistsError, Change, Collection, Document, OneOf, RevisionError, Where


@dataclass(slots=True)
class Journal:
    """The lines of one place: a server, and its user."""

    moves: Collection[Move]
    place: str
    kept: timedelta
    """How long lines stay that nothing follows upon."""

    async def begin(self, line: Move) -> Document[Move]:
        """Write, on disk, that a file is about to be moved."""
        return await self.moves.insert(f"{line.file_id}-{secrets.token_hex(8)}", line)

    async def heading(
        self, document: Document[Move], target: str, *, is_duplicate: bool = False
    ) -> Document[Move]:
        """Write where a file is to go instead, or that it is found there and to be deleted."""
        return await self.change(document, target=target, is_duplicate=is_duplicate)

    async def change(
        self, document: Document[Move], state: MoveState = MoveState.MOVING, **changes: object
    ) -> Document[Move]:
        """Write how a line goes on; what nothing follows upon is forgotten after a while."""
        now = datetime.now(UTC)
        expires_at = None if state in OPEN else now + self.kept

        def changed(line: Move) -> Change[Move]:
            return Change(line.now(state, now, **changes), expires_at=expires_at)

        return await self.moves.update(document.id, changed)

    async def put(self, document: Document[Move], line: Move) -> Document[Move]:
        """Write a line that is still open."""
        return await self.moves.update(document.id, lambda _: line)

    async def forget(self, document: Document[Move]) -> None:
        """Strike a line of a move that did not happen."""
        current = await self.moves.get(document.id)
        if current is not None:
            with suppress(RevisionError):  # somebody else went on with it
                await self.moves.delete(current)

    async def open(self) -> list[Document[Move]]:
        """Return the lines that were begun and not ended."""
        return [document async for document in self._found(OPEN)]

    async def left(self) -> dict[int, Document[Move]]:
        """Return the files that were left where they are, by their ids."""
        return {document.body.file_id: document async for document in self._found((MoveState.LEFT,))}

    async def write_left(self, lines: Mapping[int, Move], before: Mapping[int, Document[Move]]) -> None:
        """Make the journal tell exactly of the files that are left now."""
        for file_id, document in before.items():
            if file_id not in lines:
                await self.forget(document)
        for file_id, line in lines.items():
            if file_id not in before:
                await self._insert_left(line)
            elif not _tells_the_same(before[file_id].body, line):
                await self._update_left(before[file_id], line)

    async def _insert_left(self, line: Move) -> None:
        place = sha256(line.place.encode()).hexdigest()[:12]
        with suppress(AlreadyExistsError):  # by another process, in its run
            await self.moves.insert(f"left-{place}-{line.file_id}", line)

    async def _update_left(self, document: Document[Move], line: Move) -> None:
        since = line.model_copy(update={"created_at": document.body.created_at})
        with suppress(NotFoundError):
            await self.moves.update(document.id, lambda _: since)

    def _found(self, states: Sequence[MoveState]) -> AsyncIterator[Document[Move]]:
        where: Where = {"place": self.place, "state": OneOf(tuple(state.value for state in states))}
        return self.moves.each(where)


def _tells_the_same(old: Move, new: Move) -> bool:
    apart = {"created_at", "updated_at", "attempts"}
    return old.model_dump(exclude=apart) == new.model_dump(exclude=apart)
