"""A recipe: operations one behind the other, and where the files of each come from.

In a step's input data a reference stands for files: ``{"from": "inputs"}`` for those that the recipe is
applied to, ``{"from": "median"}`` or ``{"from": 0}`` for what came out of an earlier step, by its name or its
place. With ``index`` it stands for one of them. What else it has is said of each file, such as a colour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

STEPS_AT_MOST = 50
DESCRIPTION_AT_MOST_CHARACTERS = 4_096
STEPS_AT_MOST_BYTES = 256 << 10
"""Of a recipe's steps as JSON."""
FILES_OF_A_STEP_AT_MOST = 1_000
"""As many as operations take, and one more."""
REFERENCE_AT_MOST_BYTES = 2_048
"""As JSON: what it has is repeated for each file."""
INPUTS = "inputs"
"""What a reference calls the files that a recipe is applied to."""
UNKNOWN = "step"
"""Source of files that stand for those that are not known yet."""

_FROM, _INDEX = "from", "index"
_USABLE = frozenset({"fits", "tif", "large"})

Json = dict[str, Any]


class WrongReferenceError(ValueError):
    """A reference leads nowhere; the message is for users."""


class Step(BaseModel):
    """One operation of a recipe."""

    model_config = ConfigDict(frozen=True)

    name: str
    """What other steps call it."""
    operation: str
    input_data: dict[str, Any]
    """As the operation takes it, with references in the place of files."""


class Recipe(BaseModel):
    """One recipe; the document's name is ``{number}``."""

    model_config = ConfigDict(frozen=True)

    number: int
    """Its id, as clients know it."""
    owner: str
    name: str
    description: str = ""
    steps: tuple[Step, ...]
    created_us: int
    modified_us: int

    @property
    def document_id(self) -> str:
        """Return the name of its document."""
        return str(self.number)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where files come from."""

    step: int | None
    """Place of an earlier step; None: what the recipe is applied to."""
    index: int | None
    """Which of the files; None: all."""
    more: Mapping[str, Any]
    """What is said of each of them besides."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files that there are for one step of a recipe; what is not known yet is made up."""

    before: Sequence[str]
    """Names of the earlier steps."""
    inputs: Sequence[Json] | None = None
    outputs: Mapping[int, Sequence[Json]] = field(default_factory=dict)

    def of(self, origin: Origin, at_least: int) -> list[Json]:
        """Return the files that are meant.

        Raises:
            WrongReferenceError: There are not so many.
        """
        found = self.inputs if origin.step is None else self.outputs.get(origin.step)
        if found is None:
            found = _made_up(origin, at_least)
        elif origin.index is not None:
            if origin.index >= len(found):
                raise WrongReferenceError(
                    f"wants file {origin.index} of {self._of(origin)}, {_so_many(found)}"
                )
            found = [found[origin.index]]
        elif not found:
            raise WrongReferenceError(f"wants files of {self._of(origin)}, and there are none")
        return [{**file, **origin.more} for file in found]

    def _of(self, origin: Origin) -> str:
        return "the inputs" if origin.step is None else f'step "{self.before[origin.step]}"'


def _so_many(found: Sequence[Json]) -> str:
    return f"counted from 0, and there {'is' if len(found) == 1 else 'are'} {len(found) or 'none'}"


def _made_up(origin: Origin, at_least: int) -> list[Json]:
    count = at_least if origin.index is None else 1
    return [{"source": UNKNOWN, "basename": f"{origin.step}-{number}"} for number in range(count)]


def references(input_data: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """Yield every reference of a step's input data with its path in there."""
    for name, value in input_data.items():
        if _is_reference(value):
            yield name, value
        elif isinstance(value, list):
            for place, item in enumerate(value):
                if _is_reference(item):
                    yield f"{name}.{place}", item


def origin_of(reference: Json, before: Sequence[str]) -> Origin:
    """Return what a reference stands for.

    Raises:
        WrongReferenceError: There is no such step before this one, or the index is no place.
    """
    index = reference.get(_INDEX)
    if index is not None and (isinstance(index, bool) or not isinstance(index, int) or index < 0):
        raise WrongReferenceError("`index` is the place of a file, counted from 0.")
    more = {name: value for name, value in reference.items() if name not in (_FROM, _INDEX)}
    return Origin(_step(reference[_FROM], before), index, more)


def needs(step: Step, before: Sequence[str]) -> tuple[int, ...]:
    """Return the places of the steps whose outputs a step works on."""
    found = {origin_of(reference, before).step for _, reference in references(step.input_data)}
    return tuple(sorted(place for place in found if place is not None))


def filled(
    input_data: Mapping[str, Any], files: Files, at_least: Callable[[str], int] = lambda _: 1
) -> dict[str, Any]:
    """Return a step's input data with files in the place of references.

    Args:
        input_data: The step's.
        files: Those that there are.
        at_least: How many files a field takes at least; so many are made up where they are not known yet.

    Raises:
        WrongReferenceError: There are not as many files as are wanted, or more than any operation takes.
    """

    def found(name: str, reference: Json) -> list[Json]:
        return files.of(origin_of(reference, files.before), at_least(name))

    def value_of(name: str, value: Any) -> Any:
        if _is_reference(value):
            several = found(name, value)
            return several if value.get(_INDEX) is None else several[0]
        if isinstance(value, list):
            return [*_bounded(found(name, item) if _is_reference(item) else [item] for item in value)]
        return value

    return {name: value_of(name, value) for name, value in input_data.items()}


def _bounded(parts: Iterable[list[Any]]) -> Iterator[Any]:
    """Yield what parts have; many references to many files would come to more than memory holds."""
    count = 0
    for part in parts:
        count += len(part)
        if count > FILES_OF_A_STEP_AT_MOST:
            raise WrongReferenceError(f"wants more than {FILES_OF_A_STEP_AT_MOST} files")
        yield from part


def files_in(output: Mapping[str, Any]) -> list[Json]:
    """Return the files of a stored output that operations can work on."""
    return [
        {"type": one["type"], "source": "datalab", "basename": one["basename"]}
        for one in output["files"]
        if _USABLE & set(one["files"])
    ]


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and _FROM in value


def _step(named: Any, before: Sequence[str]) -> int | None:
    if named == INPUTS:
        return None
    if isinstance(named, str) and named in before:
        return before.index(named)
    if isinstance(named, int) and not isinstance(named, bool) and 0 <= named < len(before):
        return named
    shown = f'"{named}"'[:80] if isinstance(named, str | int) else "that"
    raise WrongReferenceError(
        f'`from` is "{INPUTS}", or the name or the place of an earlier step, not {shown}.'
    )
