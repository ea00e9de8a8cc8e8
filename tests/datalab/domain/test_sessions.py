"""Sessions: what is added, what is the same, what is too much; names and tokens of users."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datalab.domain.passwords import check_token, user_name
from datalab.domain.sessions import INPUT_AT_MOST_BYTES, DataSession, joined, too_large
from shared.errors import InvalidInputError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50)
@given(st.lists(json_values, max_size=5), st.lists(json_values, max_size=5))
def test_nothing_is_lost_and_adding_again_adds_nothing(items: list[Any], more: list[Any]) -> None:
    once = joined(items, more)

    assert once[: len(items)] == items
    assert joined(once, more) == once
    assert joined(once, items) == once


def test_the_order_of_names_does_not_make_another_item_and_types_do() -> None:
    assert joined([{"a": 1, "b": [{"c": 1, "d": 2}]}], [{"b": [{"d": 2, "c": 1}], "a": 1}]) == [
        {"a": 1, "b": [{"c": 1, "d": 2}]}
    ]
    assert joined([1], [True, "1"]) == [1, True, "1"]


def test_a_session_has_so_many_bytes_and_no_more() -> None:
    session = DataSession(number=1, owner="a", name="x", created_us=1, modified_us=1, accessed_us=1)

    assert too_large(session.model_copy(update={"input_data": ["x" * (INPUT_AT_MOST_BYTES - 10)]})) is None
    assert too_large(session.model_copy(update={"input_data": ["x" * INPUT_AT_MOST_BYTES]}))


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 151, "a\n", "a:b"])
def test_names_that_nobody_can_have(name: str) -> None:
    with pytest.raises(InvalidInputError):
        user_name(name)


@pytest.mark.parametrize(
    "token", ["", "x" * 15, "x" * 5000, "a token with blanks", "tökén-of-sixteen-letters"]
)
def test_tokens_that_nobody_can_have(token: str) -> None:
    with pytest.raises(InvalidInputError):
        check_token(token)
