import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odm_gateway.domain.options import OptionRow, OptionTable, parse_submitted
from shared.errors import InvalidInputError

DOCUMENT = files("odm_gateway").joinpath("odm-options.json").read_text("utf-8")
TABLE = OptionTable.parse(DOCUMENT, host_cores=12)


def row(kind: Any, domain: str | list[str]) -> OptionRow:
    return {"name": "x", "type": kind, "value": "", "domain": domain, "help": ""}


def validated(kind: str, domain: str | list[str], value: object) -> object:
    asked: list[dict[str, Any]] = [{"name": "x", "value": value}]
    return OptionTable((row(kind, domain),)).validated(asked)[0].value


def test_all_82_options_have_exactly_five_keys() -> None:
    assert len(TABLE.rows) == 82
    assert {tuple(row) for row in TABLE.rows} == {("name", "type", "value", "domain", "help")}


def test_every_default_value_is_a_text() -> None:
    assert all(isinstance(row["value"], str) for row in TABLE.rows)


def test_default_of_max_concurrency_is_the_hosts_cores() -> None:
    assert next(row["value"] for row in TABLE.rows if row["name"] == "max-concurrency") == "12"


def test_results_come_typed_in_the_tables_order() -> None:
    asked = [
        {"name": "dsm", "value": "1"},
        {"name": "crop", "value": "2.5m"},
        {"name": "split", "value": "9x"},
    ]
    values = [(option.name, option.value) for option in TABLE.validated(asked)]
    assert values == [("crop", 2.5), ("dsm", True), ("split", 9)]


def test_unknown_names_vanish_and_the_first_of_two_wins() -> None:
    asked = [{"name": "dsm", "value": True}, {"name": "dsm", "value": False}, {"name": "nope", "value": 1}]
    assert [option.value for option in TABLE.validated(asked)] == [True]


@pytest.mark.parametrize(
    ("kind", "domain", "value", "result"),
    [
        ("bool", "", "0", False), ("bool", "", True, True), ("int", "positive integer", "0", 0),
        ("float", "positive integer", "1.5", 1.5), ("float", "negative float", -1, -1),
        ("float", "percent", 100, 100), ("int", "integer: 1 <= x <= 14", "14", 14),
        ("float", "float > 0.0", "0.1", 0.1), ("int", "integer >= 3", 3, 3), ("string", "json", "{}", "{}"),
        ("string", "string", "any thing", "any thing"),
        ("enum", ["a", "b"], "b", "b"), ("float", "float", "-1e2", -100),
        ("path", "path", "/x y", "/x y"),
    ],
)  # fmt: skip
def test_values_in_their_domain_are_taken(
    kind: str, domain: str | list[str], value: object, result: object
) -> None:
    assert validated(kind, domain, value) == result


@pytest.mark.parametrize(
    ("kind", "domain", "value", "words"),
    [
        ("bool", "", "yes", "Cannot convert yes to boolean"), ("bool", "", 1, "Cannot convert 1 to boolean"),
        ("bool", "", None, "Cannot convert null to boolean"),
        ("int", "positive integer", "abc", "Invalid value NaN (out of range)"),
        ("int", "positive integer", "-1", "Invalid value -1 (out of range)"),
        ("float", "float", "Infinity", "Invalid value Infinity (out of range)"),
        ("float", "percent", 101, "Invalid value 101 (out of range)"),
        ("int", "integer: 1 <= x <= 14", 15, "Invalid value 15 (out of range)"),
        ("float", "float > 0.0", 0, "Invalid value 0 (out of range)"),
        ("string", "json", "", "Invalid value  (out of range)"),
        ("string", "json", {"a": 1}, "Invalid value [object Object] (out of range)"),
        ("enum", ["a", "b"], "c", "Invalid value c (not in enum)"),
        ("int", "odd integer", 1, "Domain value cannot be handled: odd integer"),
    ],
)  # fmt: skip
def test_other_values_are_refused_in_nodeodms_words(
    kind: str, domain: str | list[str], value: object, words: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        validated(kind, domain, value)
    assert json.loads(str(caught.value)) == [{"name": "x", "error": words}]


def test_all_faults_are_told_together() -> None:
    asked: list[dict[str, Any]] = [
        {"name": "dsm", "value": "x"},
        {"name": "crop", "value": "-1"},
        {"name": "cog", "value": True},
    ]
    with pytest.raises(InvalidInputError) as caught:
        TABLE.validated(asked)
    assert [fault["name"] for fault in json.loads(str(caught.value))] == ["crop", "dsm"]


def test_post_processing_is_switched_on_unless_the_user_set_it() -> None:
    options = TABLE.with_post_processing(TABLE.validated([{"name": "cog", "value": False}]))
    values = [(option.name, option.value) for option in options]
    assert values == [("cog", False), ("pc-ept", True), ("gltf", True)]


@pytest.mark.parametrize(("asked", "cores"), [([], 4), ([9], 4), ([2], 2)])
def test_a_limit_of_cores_caps_and_injects_max_concurrency(asked: list[int], cores: int) -> None:
    table = OptionTable.parse(DOCUMENT, host_cores=12, cores_per_task=4)
    options = table.validated([{"name": "max-concurrency", "value": value} for value in asked])
    assert [(option.name, option.value) for option in options] == [("max-concurrency", cores)]


@pytest.mark.parametrize("raw", [None, "", "{}", "7", {"a": 1}, "[1, null]"])
def test_what_is_no_list_of_options_counts_as_empty(raw: object) -> None:
    assert parse_submitted(raw) == []


def test_options_that_are_no_json_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no JSON"):
        parse_submitted("[{")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20), st.lists, max_leaves=3
)


@given(
    st.lists(
        st.fixed_dictionaries({"name": st.sampled_from([row["name"] for row in TABLE.rows]), "value": VALUES})
    )
)
def test_any_value_is_either_taken_or_refused_by_name(asked: list[dict[str, Any]]) -> None:
    try:
        taken = {option.name for option in TABLE.validated(asked)}
    except InvalidInputError as error:
        taken = {fault["name"] for fault in json.loads(str(error))}
    assert taken <= {option["name"] for option in asked}
