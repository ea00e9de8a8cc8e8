"""What an operator does with dead letters: look, replay, discard, keep in a file and put back."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.messaging.port import (
    UNROUTED_QUEUE,
    DeadLetter,
    Death,
    Message,
    Topology,
    Transport,
    UnroutableError,
)

LETTERS_PER_WRITE = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; what is None does not matter."""

    queue: str | None = None
    """``flightline.unrouted`` is meant only where it is named: no service has failed there."""
    letter_id: str | None = None
    error: str | None = None
    """Class of the error, such as ``TimeoutError``."""
    reason: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    """Those that died then or later; one of which nobody knows when is not meant."""

    def matches(self, letter: DeadLetter) -> bool:
        """Return whether ``letter`` is meant."""
        return (
            self.letter_id in (None, letter.id)
            and self.error in (None, letter.death.error.partition(":")[0])
            and self.reason in (None, letter.death.reason)
            and self.event_type in (None, letter.message.routing_key)
            and (self.since is None or (letter.died_at is not None and letter.died_at >= self.since))
        )


EVERYTHING = Selection()


def _nobody(letter: DeadLetter) -> None:
    del letter


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

    async def replay(
        self, selection: Selection, *, per_second: float = 50, tell: Callable[[DeadLetter], None] = _nobody
    ) -> int:
        """Put the selected letters that are there now back into their queues; return how many there were.

        Args:
            selection: Which.
            per_second: No faster than this.
            tell: Called with each that is back in its queue.

        Raises:
            NotFoundError: One was meant by its id and is not there.
            UnroutableError: One was meant by its id, and nobody wants it still.
            TransientError: The broker was lost on the way; the message says how far it came.
        """

        async def replayed(letter: DeadLetter) -> None:
            tell(letter)
            await asyncio.sleep(1 / per_second)

        count = await self._settle(selection, self._transport.replay_each, "replayed", replayed)
        if selection.letter_id is not None and not count:
            letter = await self.show(selection.letter_id, queue=selection.queue)
            raise UnroutableError(f"nobody listens to {letter.message.routing_key}: {letter.id} stays")
        return count

    async def discard(self, selection: Selection, *, export: Path) -> int:
        """Remove the selected letters for ever, once they are in the file ``export``; return how many.

        Args:
            selection: Which.
            export: Gets one JSON object per line, after what is in it.

        Raises:
            NotFoundError: One was meant by its id and is not there.
            TransientError: The broker was lost on the way; the message says how far it came.
        """
        kept = await self._export(selection, export)

        def discard_kept(queue: str, _: Callable[[DeadLetter], bool]) -> AsyncGenerator[DeadLetter, None]:
            return self._transport.discard_each(queue, lambda letter: (queue, letter.id) in kept)

        async def discarded(letter: DeadLetter) -> None:
            del letter

        count = await self._settle(selection, discard_kept, "discarded", discarded)
        if selection.letter_id is not None and not count:
            raise NotFoundError(f"there is no dead letter {selection.letter_id}")
        return count

    async def export(self, selection: Selection, path: Path) -> int:
        """Append the selected letters to the file ``path`` as ``discard`` does, but leave them there.

        Raises:
            NotFoundError: One was meant by its id and is not there.
        """
        return len(await self._export(selection, path))

    async def restore(self, letters: Iterable[DeadLetter]) -> int:
        """Put letters from a file back among the dead ones, but for those that are there; return how many.

        Raises:
            NotFoundError: One is of a queue that there is not; those before it are put back.
        """
        there: dict[str, set[tuple[str, str]]] = {}
        count = 0
        for letter in letters:
            if letter.queue not in there:
                found = self.list(Selection(letter.queue))
                there[letter.queue] = {_identity(each) async for each in found}
            if _identity(letter) not in there[letter.queue]:
                await self._transport.restore(letter)
                there[letter.queue].add(_identity(letter))
                count += 1
        return count

    async def _settle(
        self,
        selection: Selection,
        each: Callable[[str, Callable[[DeadLetter], bool]], AsyncGenerator[DeadLetter, None]],
        done: str,
        settled: Callable[[DeadLetter], Any],
    ) -> int:
        count = 0
        try:
            for queue in self._queues(selection):
                async with aclosing(each(queue, selection.matches)) as letters:
                    async for letter in letters:
                        count += 1
                        await settled(letter)
                        if selection.letter_id is not None:
                            return count
        except TransientError as error:
            raise TransientError(f"{done} {count}, and then: {error}; the rest is still there") from error
        return count

    async def _export(self, selection: Selection, path: Path) -> set[tuple[str, str]]:
        """Append the selected letters to a file; return queue and id of each."""
        kept: set[tuple[str, str]] = set()
        batch: list[DeadLetter] = []
        async with aclosing(self.list(selection)) as letters:
            async for letter in letters:
                kept.add((letter.queue, letter.id))
                batch.append(letter)
                if len(batch) == LETTERS_PER_WRITE:
                    await asyncio.to_thread(_append, path, batch)
                    batch = []
        await asyncio.to_thread(_append, path, batch)
        if selection.letter_id is not None and not kept:
            raise NotFoundError(f"there is no dead letter {selection.letter_id}")
        return kept

    def _queues(self, selection: Selection) -> Sequence[str]:
        queues = [subscription.queue for subscription in self._topology.subscriptions]
        if selection.queue is None:
            return queues
        if selection.queue not in (*queues, UNROUTED_QUEUE):
            named = ", ".join(sorted([*queues, UNROUTED_QUEUE]))
            raise NotFoundError(f"there is no queue {selection.queue}; there are {named}")
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


def from_json(document: Any) -> DeadLetter:
    """Return what ``to_json`` was given.

    Raises:
        InvalidInputError: It was something else.
    """
    try:
        body = document["body"].encode() if "body" in document else base64.b64decode(document["body_base64"])
        message = Message(
            body,
            str(document["routing_key"]),
            str(document["event_id"]),
            dict(document["headers"]),
            str(document["content_type"]),
        )
        reason, error, trace = (str(document[key]) for key in ("reason", "error", "trace"))
        death = Death(reason, error, trace, int(document["attempts"]))
        died_at = datetime.fromisoformat(document["died_at"]) if document["died_at"] else None
        return DeadLetter(str(document["id"]), str(document["queue"]), message, death, died_at)
    except (AttributeError, KeyError, TypeError, ValueError) as wrong:
        raise InvalidInputError(f"no dead letter as this command exports them: {wrong!r}") from wrong


def read_letters(path: Path) -> list[DeadLetter]:
    """Return the letters of an exported file.

    Raises:
        InvalidInputError: A line of it is none; nothing of it is returned.
    """
    letters = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    letters.append(_letter(line, f"{path}, line {number}"))
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error
    return letters


def _letter(line: bytes, where: str) -> DeadLetter:
    try:
        return from_json(json.loads(line))
    except (ValueError, InvalidInputError) as error:
        raise InvalidInputError(f"{where}: {error}") from error


def _identity(letter: DeadLetter) -> tuple[str, str]:
    """Return what the same letter has in common with itself before it was removed; ids are given anew."""
    died_at = letter.died_at.astimezone(UTC).isoformat(timespec="seconds") if letter.died_at else ""
    return f"{letter.message.event_id} {died_at}", sha256(letter.message.body).hexdigest()


def _append(path: Path, letters: Sequence[DeadLetter]) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)  # events may hold signed URLs
    with os.fdopen(opened, "a", encoding="utf-8") as file:
        for letter in letters:
            file.write(json.dumps(to_json(letter), default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())
