"""What a run came to."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from mover.domain.deciding import Why
from mover.domain.moves import Frozen

TOLD_AT_MOST = 20
"""Errors that a report holds."""


class Planned(Frozen):
    """A move that would be made."""

    source: str
    target: str


class Left(Frozen):
    """A file that stays where it is, though it has a tag of ours."""

    source: str
    why: Why
    reason: str


class Report(Frozen):
    """What one run came to."""

    started_at: AwareDatetime
    seconds: float = 0.0
    files: int = Field(default=0, description="Files that lie unsorted, whatever their tags.")
    moved: int = Field(default=0, description="Files that went into the folder of their category.")
    duplicates: int = Field(default=0, description="Files whose content was there already.")
    tags_left: int = Field(default=0, description="Tags that could not be taken off yet.")
    left: int = Field(default=0, description="Files that stay, though they have a tag of ours; see `reason`.")
    repaired: int = Field(default=0, description="Files whose tag came off late.")
    failed: int = Field(default=0, description="Files that are tried again by the next run.")
    errors: tuple[str, ...] = Field(default=(), description="What went wrong, the first of it.")


class Plan(Frozen):
    """What a run would do."""

    files: int = Field(description="Files that lie unsorted, whatever their tags.")
    moves: tuple[Planned, ...]
    left: tuple[Left, ...]
