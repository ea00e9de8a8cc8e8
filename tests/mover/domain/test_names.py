from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mover.domain.names import numbered


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("a.jpg", 1, "a.jpg"),
        ("a.jpg", 2, "a (2).jpg"),
        ("a (2).jpg", 3, "a (2) (3).jpg"),
        ("a.tar.gz", 2, "a.tar (2).gz"),
        ("no suffix", 2, "no suffix (2)"),
        (".hidden", 2, ".hidden (2)"),
        ("Vol. 1", 2, "Vol. 1 (2)"),
        ("a." + "x" * 21, 2, "a." + "x" * 21 + " (2)"),
    ],
)
def test_the_number_stands_before_the_suffix(name: str, number: int, expected: str) -> None:
    assert numbered(name, number) == expected


def test_a_name_that_would_be_too_long_loses_of_its_middle() -> None:
    name = numbered("x" * 246 + ".jpg", 2)

    assert name.endswith("x (2).jpg")
    assert len(name) == 250


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=250), st.integers(2, 200))
def test_a_numbered_name_fits_and_is_another_one(name: str, number: int) -> None:
    changed = numbered(name, number)

    assert changed != name
    assert len(changed.encode()) <= 250
    assert f" ({number})" in changed


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=250))
def test_numbers_never_give_the_same_name_twice(name: str) -> None:
    names = [numbered(name, number) for number in range(2, 12)]

    assert len(set(names)) == len(names)
