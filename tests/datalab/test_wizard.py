"""Forms of operations, made of the models of their inputs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from datalab.operations.operation import FileRef, Inputs, Results, Work
from datalab.operations.registry import AnyOperation
from datalab.wizard import description


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Everything(Inputs):
    files: tuple[FileRef, ...] = Field(
        min_length=2, max_length=999, json_schema_extra={"single_filter": True}
    )
    one: FileRef
    maybe: FileRef | None = None
    radius_arcsec: Annotated[float, Field(gt=0, le=30)] = 7.64
    rounds: int = Field(default=5, ge=1, title="Number of rounds", description="How often.")
    mode: Literal["simple", "reproject"] = "simple"
    colour: Colour = Colour.RED
    label: str = ""
    star: dict[str, float] = Field(
        json_schema_extra={"type": "source", "name": "Star", "description": "Which.", "name_lookup": True}
    )


class Operation:
    """Takes everything."""

    name: ClassVar[str] = "Everything"
    description: ClassVar[str] = "Takes everything."
    category: ClassVar[str] = "data"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Everything]] = Everything

    @staticmethod
    def compute(inputs: Everything, work: Work) -> Results:
        del inputs, work
        return Results()


def told(field: str) -> Any:
    return description(cast("AnyOperation", Operation))["inputs"][field]


def test_an_operation_is_told_by_name_description_and_category() -> None:
    form = description(cast("AnyOperation", Operation))

    assert list(form) == ["name", "description", "category", "inputs"]
    assert list(form["inputs"]) == list(Everything.model_fields)


def test_files_are_told_with_how_many_there_may_be() -> None:
    assert told("files") == {
        "name": "Files",
        "description": "",
        "type": "fits",
        "required": True,
        "minimum": 2,
        "maximum": 999,
        "single_filter": True,
    }
    assert (told("one")["type"], told("one")["minimum"], told("one")["maximum"]) == ("fits", 1, 1)
    assert (told("maybe")["type"], told("maybe")["required"]) == ("fits", False)


def test_numbers_are_told_with_their_bounds_and_defaults() -> None:
    assert told("radius_arcsec") == {
        "name": "Radius arcsec",
        "description": "",
        "type": "float",
        "required": False,
        "minimum": 0,
        "maximum": 30,
        "default": 7.64,
    }
    assert told("rounds")["name"] == "Number of rounds"
    assert told("rounds")["type"] == "int"


def test_choices_are_told_with_their_options() -> None:
    assert (told("mode")["type"], told("mode")["options"]) == ("select", ["simple", "reproject"])
    assert (told("colour")["options"], told("colour")["default"]) == (["red", "blue"], "red")
    assert told("label")["type"] == "string"


def test_what_a_field_says_itself_counts() -> None:
    assert told("star") == {
        "name": "Star",
        "description": "Which.",
        "type": "source",
        "required": True,
        "name_lookup": True,
    }
