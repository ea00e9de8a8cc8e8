"""Files that stay though they have a tag of ours: told in the journal for as long as they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mover.domain.deciding import Stay, Why
from mover.domain.moves import Move, MoveState
from mover.journal import Journal
from shared.dav import DavResource
from shared.state import Document

TRIED_AGAIN_AFTER = timedelta(hours=1)
"""When a file that stays because of what the server said is tried again, unless it or its tags change."""

_FOUND_BY_TRYING = (Why.DUPLICATE, Why.REFUSED, Why.NO_NAME)


class Leaving:
    """The files that one run leaves."""

    def __init__(self, journal: Journal, before: dict[int, Document[Move]]) -> None:
        """Begin with what the run before left."""
        self._journal = journal
        self._before = before
        self._lines: dict[int, Move] = {}

    @property
    def count(self) -> int:
        """Return how many files stay so far."""
        return len(self._lines)

    def note(self, file: DavResource, stay: Stay) -> None:
        """Note that a file stays."""
        line = _left(self._journal.place, file, stay)
        self._lines[line.file_id] = line

    def waits(self, file: DavResource) -> bool:
        """Return whether moving a file failed lately and nothing has changed since; then it stays."""
        known = self._before.get(file.file_id or 0)
        if known is None or known.body.why not in _FOUND_BY_TRYING:
            return False
        line = known.body
        was, is_now = (line.etag, line.source, line.tag_ids), (file.etag, file.path, _tag_ids(file))
        if was != is_now or line.due_s <= datetime.now(UTC).timestamp():
            return False
        self._lines[line.file_id] = line
        return True

    async def write(self) -> None:
        """Write down who stays, and strike those that do not any more."""
        await self._journal.write_left(self._lines, self._before)


def _tag_ids(file: DavResource) -> tuple[int, ...]:
    return tuple(tag.id for tag in file.tags)


def _left(place: str, file: DavResource, stay: Stay) -> Move:
    assert file.file_id is not None  # what has tags has an id
    now = datetime.now(UTC)
    is_tried_again = stay.why in _FOUND_BY_TRYING
    return Move(
        state=MoveState.LEFT,
        place=place,
        file_id=file.file_id,
        source=file.path,
        name=file.name,
        size_bytes=file.size_bytes or 0,
        etag=file.etag,
        tag_ids=_tag_ids(file),
        why=stay.why,
        reason=stay.sentence,
        due_s=(now + TRIED_AGAIN_AFTER).timestamp() if is_tried_again else 0.0,
        created_at=now,
        updated_at=now,
    )
