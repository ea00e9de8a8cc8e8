"""What an operation is: a name, a model of its inputs, and a function that computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.errors import PermanentError


class FileRef(BaseModel):
    """A file as clients name it; what else they send with it is theirs and ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    basename: str = Field(min_length=1, max_length=1024)
    source: str = "archive"
    """``archive``, ``datalab``, ``upload``, ``s3``, ``file`` or ``product``."""
    id: int | str | None = None
    url: str | None = None


class Inputs(BaseModel):
    """Base of an operation's inputs: immutable, and tolerant of what clients send besides."""

    model_config = ConfigDict(frozen=True, extra="ignore")


LEFT_EMPTY = BeforeValidator(lambda value: None if value == "" else value)
"""For a field that may be None: what forms send of one that was left empty is nothing."""
FILES_AT_MOST: Final = 999
"""Of one input."""


def files_field(
    description: str, least: int = 1, most: int = FILES_AT_MOST, name: str = "Input Files", **form: Any
) -> Any:
    """Return the field of a model for so many images; ``form`` has what else wizards are told of it."""
    about: Any = {"title": name, "description": description, "json_schema_extra": {"type": "fits", **form}}
    if least == 0:
        return Field(default=(), max_length=most, **about)
    return Field(min_length=least, max_length=most, **about)


class OperationError(PermanentError):
    """The inputs do not allow this operation; the message is for the user."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One result on its way to the object store: files within ``Work.folder``."""

    fits: Path | None = None
    large_jpg: Path | None = None
    small_jpg: Path | None = None
    tif: Path | None = None
    diagnostic_jpg: Path | None = None
    comment: str = ""
    """What is said of it to users."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the output, as JSON."""


@dataclass(frozen=True, slots=True)
class Results:
    """What an operation made: files, data, or both."""

    files: Sequence[OutputFile] = ()
    data: Sequence[Mapping[str, Any]] = ()
    """JSON for ``output_data``; numbers are finite or None."""


class Work(Protocol):
    """What an operation may use while it computes, in its own process."""

    @property
    def folder(self) -> Path:
        """Return an empty folder of its own for its results."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Return settings of the service that operations need, such as ``tap_url``."""

    def path(self, ref: FileRef) -> Path:
        """Return the whole local file of one of the inputs; it is not to be changed."""

    def progress(self, done: float) -> None:
        """Tell how much is done, 0 to 1; what is less than before is ignored."""


I_contra = TypeVar("I_contra", bound=Inputs, contravariant=True)


class Operation(Protocol[I_contra]):
    """An operation; one class of this form in each module of this package is found by its ``name``."""

    name: ClassVar[str]
    """As clients send it."""
    description: ClassVar[str]
    category: ClassVar[str]
    """``image`` or ``data``."""
    version: ClassVar[int]
    """Counted up when the same inputs give another result: cached results of before do not count then."""
    inputs: ClassVar[type[Inputs]]

    @staticmethod
    def compute(inputs: I_contra, work: Work) -> Results:
        """Compute, in one thread, blocking.

        Raises:
            OperationError: The inputs do not allow it.
        """


Progress = Callable[[float], None]
