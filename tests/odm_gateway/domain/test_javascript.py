import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odm_gateway.domain import javascript


@pytest.mark.parametrize(
    ("raw", "number"),
    [("12abc", 12), (" 7", 7), ("-3.9", -3), ("0x1F", 31), (12.9, 12), ("+5", 5), ("1e3", 1)],
)
def test_a_leading_whole_number_is_read(raw: object, number: int) -> None:
    assert javascript.parse_int(raw) == number


@pytest.mark.parametrize("raw", ["abc", "", None, True, [], {}])
def test_what_begins_with_no_digit_is_no_number(raw: object) -> None:
    assert math.isnan(javascript.parse_int(raw))


@pytest.mark.parametrize(
    ("raw", "number"), [("1.5m", 1.5), (".5", 0.5), ("-2e3x", -2000), ("Infinity", math.inf), ("0x1F", 0)]
)
def test_a_leading_number_is_read(raw: object, number: float) -> None:
    assert javascript.parse_float(raw) == number


@pytest.mark.parametrize(
    ("start", "first"),
    [
        (None, 0), ("", 0), ("abc", 0), ("12abc", 0), ("2.7", 2), ("-2", 278), ("-2.7", 278), ("300", 280),
        ("-300", 0), ("0x10", 16), ("1e2", 100), ("Infinity", 280), ("-Infinity", 0), ("0", 0),
    ],
)  # fmt: skip
def test_slices_begin_where_javascript_begins_them(start: str | None, first: int) -> None:
    assert javascript.first_index(280, start) == first


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"), (True, "true"), (1.0, "1"), (1.5, "1.5"), (math.nan, "NaN"), (-math.inf, "-Infinity"),
        (1e21, "1e+21"), (1e-7, "1e-7"), ([1, None, "a"], "1,,a"), ({}, "[object Object]"), ("x", "x"),
    ],
)  # fmt: skip
def test_values_are_written_as_javascript_writes_them(value: object, text: str) -> None:
    assert javascript.text(value) == text


@given(st.text() | st.from_regex(r"[+-]?(0x)?[0-9a-f]+(\.[0-9]*)?(e[+-]?[0-9]+)?"))
def test_no_text_is_too_strange_to_be_a_number(text: str) -> None:
    assert isinstance(javascript.parse_int(text) + javascript.parse_float(text), int | float)
    assert 0 <= javascript.first_index(7, text) <= 7


def test_numbers_beyond_a_double_are_infinite() -> None:
    assert javascript.parse_int("9" * 5000) == math.inf
    assert javascript.first_index(7, "0x" + "f" * 5000) == 7


@pytest.mark.parametrize("written", ["[" * 100_000, '"\\ud800"', "[NaN]", "", "{"])
def test_what_cannot_be_stored_is_no_json(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        javascript.parse_json(written)
