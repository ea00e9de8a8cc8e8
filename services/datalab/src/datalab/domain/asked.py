"""An operation of a session, as its owner asked for it and as it is told to clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class State(StrEnum):
    """How far an operation, or the computation that it shares with others, has come."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    """Every output is stored."""
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Return whether nothing more happens by itself."""
        return self in FINAL


FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
UNFINISHED = tuple(state for state in State if state not in FINAL)
"""In the form in which the store is asked for them."""
CANCELLED_MESSAGE = "Cancelled."
"""Where nobody said anything else: clients know four words, and read FAILED."""


class AskedOperation(BaseModel):
    """One operation of one session; the document's name is ``o{number}``."""

    model_config = ConfigDict(frozen=True)

    number: int
    """Its id, as clients know it."""
    session: int
    owner: str
    name: str
    """Of the kind of operation, such as ``Median``."""
    input_data: dict[str, Any]
    """Just as it was sent; it was found to suit the operation's inputs."""
    created_us: int
    """Microseconds since 1970, as all times of documents."""
    key: str = ""
    """Of the computation that it shares with all that ask for the same."""
    state: State = State.PENDING
    """The computation's, once that has ended; until then, see there."""
    progress: float = Field(default=0.0, ge=0, le=1)
    message: str = ""
    output: dict[str, Any] | None = None
    """As the computation stored it: with keys of objects, from which URLs are made whenever it is read."""
    ended_us: int = 0

    @property
    def document_id(self) -> str:
        """Return the name of its document."""
        return operation_id(self.number)


@dataclass(frozen=True, slots=True)
class ShownOperation:
    """An operation with what is newest of its computation, for its owner."""

    operation: AskedOperation
    state: State
    progress: float
    message: str
    output: Mapping[str, Any] | None
    """JSON with URLs; while it is in progress, what there is already."""
    data_file: Mapping[str, Any] | None = None
    """Key and size of the object that holds its data, where they are too large to stand in the output."""


def operation_id(number: int) -> str:
    """Return the name of an operation's document."""
    return f"o{number}"
