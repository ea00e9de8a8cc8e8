"""What an operator does with dead letters: look, replay, discard."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import NotFoundError
from shared.messaging.port import DeadLetter, Topology, Transport


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; what is None does not matter."""

    queue: str | None = None
    letter_id: str | None = None
    error: str | None = None
    """Class of the error, such as ``TimeoutError``."""
    reason: str | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Return whether ``letter`` is meant."""
        return (
            self.letter_id in (None, letter.id)
            and self.error in (None, letter.death.error.partition(":")[0])
            and self.reason in (None, letter.death.reason)
        )


EVERYTHING = Selection()


class DeadLetters:
    """The dead letters of every queue of a topology."""

    def __init__(self, transport: Transport, topology: Topology) -> None:
        self._transport = transport
        self._topology = topology

    async def list(self, selection: Selection = EVERYTHING) -> AsyncGenerator[DeadLetter, None]:
        """Iterate over the selected letters, queue by queue, oldest first; close it where it is left early.

        Raises:
            NotFoundError: There is no such queue.
        """
        for queue in self._queues(selection):
            async with aclosing(self._transport.dead_letters(queue)) as letters:
                async for letter in letters:
                    if selection.matches(letter):
                        yield letter

    async def show(self, letter_id: str, *, queue: str | None = None) -> DeadLetter:
        """Return one letter.

        Raises:
            NotFoundError: There is none of this id.
        """
        async with aclosing(self.list(Selection(queue, letter_id))) as letters:
            async for letter in letters:
                return letter
        raise NotFoundError(f"there is no dead letter {letter_id}")

    async def replay(self, selection: Selection, *, per_second: float = 50) -> int:
        """Put the selected letters back into their queues, no faster than ``per_second``; return how many.

        Raises:
            NotFoundError: One was meant by its id and is not there.
        """
        letters = await self._selected(selection)
        for letter in letters:
            await self._transport.replay(letter.queue, letter.id)
            await asyncio.sleep(1 / per_second)
        return len(letters)

    async def discard(self, selection: Selection, *, export: Path) -> int:
        """Remove the selected letters for ever, once they are in the file ``export``; return how many.

        Args:
            selection: Which.
            export: Gets one JSON object per line, after what is in it.

        Raises:
            NotFoundError: One was meant by its id and is not there.
        """
        letters = await self._selected(selection)
        await asyncio.to_thread(_append, export, letters)
        for letter in letters:
            await self._transport.discard(letter.queue, letter.id)
        return len(letters)

    async def _selected(self, selection: Selection) -> Sequence[DeadLetter]:
        letters = [letter async for letter in self.list(selection)]
        if selection.letter_id is not None and not letters:
            raise NotFoundError(f"there is no dead letter {selection.letter_id}")
        return letters

    def _queues(self, selection: Selection) -> Sequence[str]:
        queues = [subscription.queue for subscription in self._topology.subscriptions]
        if selection.queue is None:
            return queues
        if selection.queue not in queues:
            raise NotFoundError(f"there is no queue {selection.queue}; there are {', '.join(sorted(queues))}")
        return [selection.queue]


def to_json(letter: DeadLetter) -> dict[str, Any]:
    """Return ``letter`` as JSON; a body that is no text is in ``body_base64``."""
    message, death = letter.message, letter.death
    try:
        body = {"body": message.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(message.body).decode()}
    return {
        "id": letter.id,
        "queue": letter.queue,
        "died_at": letter.died_at.isoformat() if letter.died_at else None,
        "reason": death.reason,
        "error": death.error,
        "trace": death.trace,
        "attempts": death.attempts,
        "routing_key": message.routing_key,
        "event_id": message.event_id,
        "content_type": message.content_type,
        "headers": dict(message.headers),
        **body,
    }


def _append(path: Path, letters: Sequence[DeadLetter]) -> None:
    with path.open("a", encoding="utf-8") as file:
        for letter in letters:
            file.write(json.dumps(to_json(letter), default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())
