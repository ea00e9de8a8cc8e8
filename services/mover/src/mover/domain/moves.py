"""A line of the mover's journal: what became of one file that has a tag of ours."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from mover.domain.deciding import Why

TAG_RETRIES = (timedelta(), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
"""How long to wait before a tag that could not be taken off is tried again, by attempts."""


class Frozen(BaseModel):
    """A value."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class MoveState(StrEnum):
    """What became of a file."""

    MOVING = "moving"
    """Begun; whether it happened is on the server."""
    TAGGED = "tagged"
    """In its category's folder; the tag could not be taken off yet."""
    MOVED = "moved"
    DUPLICATE = "duplicate"
    """Its content was in the category's folder already; it was deleted, which is to the trash."""
    GONE = "gone"
    """Somebody else took it away while it was being moved."""
    LEFT = "left"
    """Where it was, for a reason."""
    REPAIRED = "repaired"
    """It was in its category's folder with a tag that should have come off earlier."""


OPEN = (MoveState.MOVING, MoveState.TAGGED)
"""States that a later run has to do with."""


class Move(Frozen):
    """What became of one file."""

    state: MoveState
    place: str
    """The server and its user, so that ids of one server are never taken for another's."""
    file_id: int
    source: str
    """Where it was."""
    target: str = ""
    """Where it went, or was to go."""
    category: str = ""
    name: str
    size_bytes: int = 0
    etag: str = ""
    tag_ids: tuple[int, ...] = ()
    is_duplicate: bool = False
    """Its content was found at ``target``, so that it is being deleted instead of moved."""
    why: Why | None = None
    reason: str | None = None
    """Why it was left where it was."""
    error: str | None = None
    """What went wrong last, with what is still open."""
    attempts: int = 0
    due_s: float = 0.0
    """When what is open is tried again, in seconds since 1970."""
    created_at: AwareDatetime
    updated_at: AwareDatetime

    def now(self, state: MoveState, at: datetime, **changes: object) -> Move:
        """Return the line as it goes on."""
        return self.model_copy(update={"state": state, "updated_at": at, **changes})


def tag_stuck(line: Move, error: str, at: datetime) -> Move:
    """Return the line of a file that is where it belongs, with a tag that could not be taken off."""
    wait = TAG_RETRIES[min(line.attempts, len(TAG_RETRIES) - 1)]
    due_s = (at + wait).timestamp()
    return line.now(MoveState.TAGGED, at, error=error, attempts=line.attempts + 1, due_s=due_s)
