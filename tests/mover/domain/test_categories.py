from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mover.domain.categories import Fault, InvalidCategoryError, category_text, checked_category, folded


@pytest.mark.parametrize(
    ("tag", "category"),
    [
        ("ai:cats", "cats"),
        (" ai:cats ", "cats"),
        ("AI:Cats", "Cats"),
        ("ai : cats", "cats"),
        ("ai:trai:n", "trai:n"),
        ("ai:", ""),
        ("ai", None),
        ("holiday", None),
        ("xai:cats", None),
        ("fair:ai:cats", None),
        ("aicats", None),
        ("ai;cats", None),
        ("", None),
        (":cats", None),
    ],
)
def test_only_what_begins_with_the_parent_and_a_colon_is_for_us(tag: str, category: str | None) -> None:
    assert category_text(tag, "ai") == category


def test_a_parent_may_hold_a_colon_itself() -> None:
    assert category_text("lab:AI:cats", "lab:ai") == "cats"
    assert category_text("lab:cats", "lab:ai") is None


def test_accents_are_the_same_however_they_are_written() -> None:
    decomposed = unicodedata.normalize("NFD", "ai:Été")
    assert category_text(decomposed, "ai") == "Été"
    assert folded("É") == folded("e\u0301")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.EMPTY),
        ("  ", Fault.EMPTY),
        (".", Fault.CLIMBS),
        ("..", Fault.CLIMBS),
        ("../../x", Fault.CLIMBS),
        ("a/../b", Fault.CLIMBS),
        ("a/b", Fault.SLASH),
        ("/a", Fault.SLASH),
        ("a\\b", Fault.BACKSLASH),
        ("..\\x", Fault.BACKSLASH),
        ("a\nb", Fault.CONTROL),
        ("a\x00", Fault.CONTROL),
        ("a\x7fb", Fault.CONTROL),
        ("gpj.\u202eexe", Fault.CONTROL),
        ("\ud800", Fault.CONTROL),
        (".htaccess", Fault.RESERVED),
        (".HTACCESS", Fault.RESERVED),
        ("CON", Fault.RESERVED),
        ("nul.txt", Fault.RESERVED),
        ("upload.part", Fault.RESERVED),
        (".cats", Fault.HIDDEN),
        ("cats.", Fault.ENDS_BADLY),
        ("x" * 251, Fault.TOO_LONG),
        ("ß" * 126, Fault.TOO_LONG),
    ],
)
def test_what_can_be_no_folder_says_why(text: str, fault: Fault) -> None:
    with pytest.raises(InvalidCategoryError) as raised:
        checked_category(text, nested=False)

    assert raised.value.fault is fault
    assert str(raised.value) == fault.sentence


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a//b", Fault.EMPTY),
        ("/a", Fault.EMPTY),
        ("a/", Fault.EMPTY),
        ("a/../../b", Fault.CLIMBS),
        ("a/ .. /b", Fault.CLIMBS),
        ("a /b", Fault.ENDS_BADLY),
        ("a/.b", Fault.HIDDEN),
    ],
)
def test_each_part_of_a_nested_category_must_be_a_folder(text: str, fault: Fault) -> None:
    with pytest.raises(InvalidCategoryError) as raised:
        checked_category(text, nested=True)

    assert raised.value.fault is fault


@pytest.mark.parametrize(
    "text", ["cats", "Große Katzen", "50% off", "a#b?", "trai:n", "写真", "a.b", "console"]
)
def test_other_names_are_folders_as_they_are(text: str) -> None:
    assert checked_category(text, nested=False) == text


def test_nested_categories_only_where_they_are_switched_on() -> None:
    assert checked_category("animals/cats", nested=True) == "animals/cats"


@given(st.text(max_size=300), st.booleans())
def test_whatever_a_tag_says_a_category_never_leaves_its_root(text: str, nested: bool) -> None:
    category = category_text(f"ai:{text}", "ai")
    assert category is not None
    try:
        path = checked_category(category, nested=nested)
    except InvalidCategoryError:
        return
    parts = path.split("/")
    assert nested or len(parts) == 1
    for part in parts:
        assert part not in ("", ".", "..")
        assert part == part.strip()
        assert "\\" not in part
        assert part.isprintable() or not any(unicodedata.category(one) == "Cc" for one in part)
        assert len(part.encode()) <= 250


@given(st.text(max_size=60), st.text(min_size=1, max_size=10))
def test_a_tag_without_a_colon_is_never_for_us(tag: str, parent: str) -> None:
    assert category_text(tag.replace(":", ""), parent) is None
