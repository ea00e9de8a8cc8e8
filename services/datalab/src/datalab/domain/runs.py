"""A run: a recipe applied to one or several sets of files."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from datalab.domain.asked import State
from datalab.domain.computations import InputFile
from datalab.domain.recipes import Step

SETS_AT_MOST = 200
STEPS_AT_MOST = 1_000
"""Of a run: the recipe's, for each set."""
FILES_AT_MOST = 2_000
"""Of all sets together."""


class Phase(StrEnum):
    """How far a step of a run has come."""

    WAITING = "WAITING"
    """For what it works on, or until there is room for its operation."""
    ASKING = "ASKING"
    """Its operation has its number, and is made under that or is there already."""
    AGAIN = "AGAIN"
    """Its operation is to be tried again."""
    ASKED = "ASKED"
    """Its operation is there and says how far it is."""
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    """What it works on will never be there."""

    @property
    def is_final(self) -> bool:
        """Return whether nothing more happens by itself."""
        return self in _FINAL

    @property
    def is_to_be_asked(self) -> bool:
        """Return whether its operation has to be asked for under the number that it has."""
        return self in (Phase.ASKING, Phase.AGAIN)


_FINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED})
Place = tuple[int, int]
"""Of a step in a run: which set, and which step of the recipe."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class StepOfRecipe(_Kept):
    """What a run knows of a step of its recipe."""

    name: str
    operation: str
    needs: tuple[int, ...]
    """Places of the steps whose outputs it works on."""


class StepOfRun(_Kept):
    """A step, applied to one set."""

    phase: Phase = Phase.WAITING
    operation: int = 0
    """Number of its operation, given before that is made; 0: none yet."""
    message: str = ""
    progress: float = Field(default=0.0, ge=0, le=1)
    """Of its operation, when somebody looked last."""


class Run(_Kept):
    """One run; the document's name is ``{number}``."""

    number: int
    """Its id, as clients know it."""
    owner: str
    session: int
    recipe: int
    """Number of the recipe, which may be gone."""
    name: str
    """The recipe's."""
    steps: tuple[StepOfRecipe, ...]
    sets: tuple[tuple[StepOfRun, ...], ...]
    """The steps, for each set."""
    state: State = State.PENDING
    message: str = ""
    progress: float = Field(default=0.0, ge=0, le=1)
    calls: int = 0
    """Counted up whenever somebody has to look at it."""
    news: tuple[int, ...] = ()
    """Operations that have ended since somebody looked."""
    due_s: float
    """When somebody is to look at it again, in seconds since 1970."""
    created_us: int
    ended_us: int = 0

    @property
    def document_id(self) -> str:
        """Return the name of its document."""
        return str(self.number)

    def places(self) -> Iterator[tuple[Place, StepOfRun]]:
        """Yield every step of every set with its place."""
        for number, steps in enumerate(self.sets):
            for place, step in enumerate(steps):
                yield (number, place), step

    def in_phase(self, phase: Phase) -> list[Place]:
        """Return the places of steps that have come so far."""
        return [place for place, step in self.places() if step.phase is phase]

    def at(self, place: Place) -> StepOfRun:
        """Return a step."""
        return self.sets[place[0]][place[1]]


class Made(_Kept):
    """What a run is made of; it stays as it is."""

    steps: tuple[Step, ...]
    """The recipe's, when it was applied."""
    sets: tuple[tuple[dict[str, Any], ...], ...]
    """Files, as they were sent."""
    files: tuple[InputFile, ...]
    """Which ones they are: the owner was found to be allowed to see them."""
