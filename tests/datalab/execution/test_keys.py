"""What makes two computations the same, and what does not."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalab.domain.keys import files_of, in_order, key_of
from datalab.operations.operation import FileRef, Inputs


class Mode(Enum):
    """How to combine."""

    SUM = "sum"
    MEAN = "mean"


class Channel(FileRef):
    """A file with a colour."""

    color: tuple[int, int, int] = (0, 0, 0)


class Everything(Inputs):
    """One of each kind of input."""

    input_files: list[FileRef] = []  # noqa: RUF012 - pydantic copies it
    dark: FileRef | None = None
    channels: tuple[Channel, ...] = ()
    threshold: float = 3.0
    mode: Mode = Mode.SUM
    targets: list[dict[str, float]] = []  # noqa: RUF012


CONTENTS = {("archive", name): f"archive:{name}" for name in "abcdef"} | {("upload", "a"): "sha256:1"}
ORDER = frozenset({"input_files"})


def key(data: dict[str, Any], unordered: frozenset[str] = frozenset(), version: int = 1) -> str:
    inputs = in_order(Everything.model_validate(data), CONTENTS, unordered)
    return key_of("Everything", version, inputs, CONTENTS)


def files(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"source": "archive", "basename": name, **more} for name in names]


SAME = {"input_files": files("a", "b"), "threshold": 3, "unknown": [1, {"x": None}]}


@pytest.mark.parametrize(
    "other",
    [
        {"input_files": files("a", "b")},
        {"input_files": files("a", "b", url="https://signed/?x=1", id=7, filter="rp", operation={"a": 1})},
        {"input_files": [{"basename": "a"}, {"basename": "b"}], "mode": "sum", "targets": []},
        {"input_files": files("a", "b"), "threshold": "3.0"},
    ],
    ids=["defaults left out", "what clients show", "source left out", "a number as text"],
)
def test_what_means_the_same_has_the_same_key(other: dict[str, Any]) -> None:
    assert key(SAME) == key(other)


@pytest.mark.parametrize(
    "other",
    [
        {"input_files": files("b", "a")},
        {"input_files": files("a")},
        {"input_files": files("a", "b", "b")},
        {"input_files": files("a", "b"), "threshold": 3.0001},
        {"input_files": files("a", "b"), "mode": "mean"},
        {"input_files": files("a"), "dark": files("b")[0]},
        {"input_files": [*files("b"), {"source": "upload", "basename": "a"}]},
        {"input_files": [{"source": "upload", "basename": "a"}, *files("b")]},
        {"input_files": files("a", "b"), "targets": [{"ra": 0.0}]},
    ],
)
def test_what_means_another_thing_has_another_key(other: dict[str, Any]) -> None:
    assert key(SAME) != key(other)


def test_a_new_version_of_the_operation_has_another_key() -> None:
    assert key(SAME) != key(SAME, version=2)


def test_what_a_channel_says_counts() -> None:
    red, blue = ({"channels": files("a", color=color)} for color in ((255, 0, 0), (0, 0, 255)))

    assert key(red) != key(blue)
    assert key(red) == key({"channels": files("a", color=(255, 0, 0), url="x")})


def test_other_bytes_of_the_same_name_have_another_key() -> None:
    inputs = Everything.model_validate({"input_files": files("a")})
    reduced_again = CONTENTS | {("archive", "a"): "archive:a:2"}

    assert key_of("E", 1, inputs, CONTENTS) != key_of("E", 1, inputs, reduced_again)


@given(st.permutations(list("abcdef")))
def test_order_means_nothing_where_the_operation_says_so(names: list[str]) -> None:
    assert key({"input_files": files(*names)}, ORDER) == key({"input_files": files(*"abcdef")}, ORDER)


def test_what_is_computed_is_sorted_as_the_key_is() -> None:
    inputs = Everything.model_validate({"input_files": files("c", "a", "b")})

    ordered = in_order(inputs, CONTENTS, ORDER)

    assert [ref.basename for ref in ordered.input_files] == ["a", "b", "c"]
    assert [ref.basename for ref in in_order(inputs, CONTENTS, frozenset()).input_files] == ["c", "a", "b"]


def test_all_files_are_found_wherever_they_are_named() -> None:
    data = {"input_files": files("a"), "dark": files("b")[0], "channels": files("c", "d")}

    assert [ref.basename for ref in files_of(Everything.model_validate(data))] == ["a", "b", "c", "d"]
