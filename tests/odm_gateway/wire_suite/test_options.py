"""The list of options, and what becomes of those that a client sends."""

import json
import os
from collections import Counter
from typing import Any

import pytest

from odm_gateway.domain.options import OptionTable
from shared.errors import InvalidInputError
from tests.odm_gateway.wire_suite.gateways import Node

HIDDEN = {
    "h", "project-path", "name", "version", "gcp", "geo", "align", "images", "split-image-groups", "copy-to",
    "rerun", "rerun-all", "time", "cmvs-maxImages",
}  # fmt: skip


async def listed(node: Node) -> dict[str, Any]:
    return {option["name"]: option for option in await node.get("/options")}


async def taken(node: Node, options: Any) -> Any:
    """Return the options of a task that asked for ``options``, or the error."""
    sent = options if isinstance(options, str) else json.dumps(options)
    answer = await node.init(options=sent, skipPostProcessing="true")
    if "error" in answer:
        return answer["error"]
    await node.upload(answer["uuid"], ("a.jpg", b"x"))
    await node.commit(answer["uuid"])
    return {one["name"]: one["value"] for one in (await node.info(answer["uuid"]))["options"]}


def option(name: str, value: Any) -> list[dict[str, Any]]:
    return [{"name": name, "value": value}]


async def test_s1_4_shape_is_exactly_five_keys(node: Node) -> None:
    options = await node.get("/options")
    assert {tuple(sorted(option)) for option in options} == {("domain", "help", "name", "type", "value")}
    assert all(isinstance(option["value"], str) and isinstance(option["help"], str) for option in options)


async def test_s1_4_domain_is_a_text_and_for_enums_a_list(node: Node) -> None:
    options = await node.get("/options")
    assert all(isinstance(one["domain"], list) == (one["type"] == "enum") for one in options)
    assert all(one["value"] in one["domain"] for one in options if one["type"] == "enum")


async def test_s1_4_list_has_the_82_options_of_odm_3_6(node: Node) -> None:
    kinds = Counter(one["type"] for one in await node.get("/options"))
    assert kinds == {"bool": 42, "float": 14, "enum": 11, "int": 11, "string": 4}


async def test_s1_4_hidden_is_what_the_node_decides_itself(node: Node) -> None:
    assert not HIDDEN & set(await listed(node))


async def test_s1_4_domain_has_lost_its_brackets(node: Node) -> None:
    domains = [one["domain"] for one in await node.get("/options") if isinstance(one["domain"], str)]
    assert not any("<positive" in domain or domain.startswith("<") for domain in domains)


async def test_s1_4_oddities_are_kept(node: Node) -> None:
    options = await listed(node)
    assert options["sm-cluster"]["value"] == "None"
    for name in ("rolling-shutter-readout", "split-overlap"):
        assert (options[name]["type"], options[name]["domain"]) == ("float", "positive integer")
    assert options["max-concurrency"]["value"] == str(os.cpu_count())
    assert options["feature-type"]["value"] == "dspsift"


async def test_s1_4_help_holds_nothing_that_clients_could_not_fill_in(node: Node) -> None:
    for one in await node.get("/options"):
        assert one["help"] % {"default": one["value"], "choices": one["domain"]}


async def test_s1_4_options_that_are_no_json_are_refused(node: Node) -> None:
    assert isinstance(await taken(node, "[{"), str)
    assert await taken(node, "") == {}


@pytest.mark.parametrize("sent", ["{}", "1", '"a"', "null"])
async def test_s1_4_what_is_no_array_is_none(node: Node, sent: str) -> None:
    assert await taken(node, sent) == {}


async def test_s1_4_unknown_names_are_dropped(node: Node) -> None:
    assert await taken(node, [*option("no-such-thing", 1), *option("dsm", True)]) == {"dsm": True}


async def test_s1_4_duplicate_names_are_won_by_the_first(node: Node) -> None:
    assert await taken(node, [*option("dem-resolution", 3), *option("dem-resolution", 4)]) == {
        "dem-resolution": 3
    }


async def test_s1_4_order_is_the_tables(node: Node) -> None:
    names = list(await listed(node))
    asked = ["dsm", "dtm", "dem-resolution", "feature-quality"]
    found = await taken(node, [*option("dtm", True), *option("feature-quality", "low"), *option("dsm", True)])
    assert list(found) == sorted(set(asked) - {"dem-resolution"}, key=names.index)


@pytest.mark.parametrize(
    ("value", "meant"),
    [(True, True), (False, False), ("true", True), ("false", False), ("1", True), ("0", False)],
)
async def test_s1_4_bools_have_six_spellings(node: Node, value: Any, meant: bool) -> None:
    found = (await taken(node, option("dsm", value)))["dsm"]
    assert found is meant


@pytest.mark.parametrize(("value", "shown"), [("yes", "yes"), ("", ""), ("True", "True"), (None, "null")])
async def test_s1_4_bools_of_other_spellings_cannot_be_converted(node: Node, value: Any, shown: str) -> None:
    error = json.loads(await taken(node, option("dsm", value)))
    assert error == [{"name": "dsm", "error": f"Cannot convert {shown} to boolean"}]


async def test_s1_4_numbers_are_parsed_as_javascript_parses_them(node: Node) -> None:
    found = await taken(node, [*option("min-num-features", "12abc"), *option("dem-resolution", "2.5cm")])
    assert found == {"min-num-features": 12, "dem-resolution": 2.5}
    assert json.loads(await taken(node, option("min-num-features", "abc"))) == [
        {"name": "min-num-features", "error": "Invalid value NaN (out of range)"}
    ]


@pytest.mark.parametrize(("value", "is_taken"), [(0, True), (1.5, True), (7, True), (-1, False)])
async def test_s1_4_positive_means_not_below_zero(node: Node, value: float, is_taken: bool) -> None:
    found = await taken(node, option("split-overlap", value))
    assert (found == {"split-overlap": value}) == is_taken
    assert is_taken or "out of range" in found


@pytest.mark.parametrize(
    ("value", "is_taken"), [("", False), ("{", False), ('{"type": 1}', True), ({}, False)]
)
async def test_s1_4_json_is_a_text_that_parses(node: Node, value: Any, is_taken: bool) -> None:
    found = await taken(node, option("boundary", value))
    assert (found == {"boundary": value}) == is_taken


@pytest.mark.parametrize("value", ["", "anything at all: ü", "/some/path"])
async def test_s1_4_texts_are_not_checked(node: Node, value: str) -> None:
    assert await taken(node, option("sm-cluster", value)) == {"sm-cluster": value}


@pytest.mark.parametrize("value", ["HIGH", "highest", "", None, 3])
async def test_s1_4_enums_take_their_exact_members_only(node: Node, value: Any) -> None:
    assert await taken(node, option("feature-quality", "high")) == {"feature-quality": "high"}
    assert "(not in enum)" in await taken(node, option("feature-quality", value))


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("mesh-octree-depth", 14, 15),
        ("mesh-octree-depth", 1, 0),
        ("orthophoto-resolution", 0.1, 0),
        ("crop", 0, -5),
    ],
)
async def test_s1_4_ranges_are_kept(node: Node, name: str, inside: float, outside: float) -> None:
    assert await taken(node, option(name, inside)) == {name: inside}
    assert json.loads(await taken(node, option(name, outside))) == [
        {"name": name, "error": f"Invalid value {outside} (out of range)"}
    ]


async def test_s1_4_integers_and_floats_without_a_range_may_be_negative(node: Node) -> None:
    asked = [*option("min-num-features", -5), *option("dem-resolution", -2.5)]
    assert await taken(node, asked) == {"min-num-features": -5, "dem-resolution": -2.5}


async def test_s1_4_all_failures_are_told_in_one_error(node: Node) -> None:
    wrong = [*option("dsm", "x"), *option("feature-quality", "x"), *option("crop", -1)]
    errors = json.loads(await taken(node, wrong))
    assert {error["name"] for error in errors} == {"dsm", "feature-quality", "crop"}
    assert all(set(error) == {"name", "error"} for error in errors)


async def test_s1_4_list_has_defaults_that_may_be_sent(node: Node) -> None:
    options = await node.get("/options")
    sent = [one for one in options if one["domain"] != "json"]
    found = await taken(node, [{"name": one["name"], "value": one["value"]} for one in sent])
    assert isinstance(found, dict), found
    assert set(found) == {one["name"] for one in sent}


@pytest.mark.parametrize(
    ("kind", "domain", "value", "outside"),
    [
        ("int", "negative integer", -3, 1),
        ("float", "negative float", 0, 0.5),
        ("float", "integer", 4, 4.5),
        ("int", "percent", 100, 101),
        ("int", "integer >= 3", 3, 2),
        ("float", "float < 1", 0.5, 1),
        ("float", "float: -1 <= x <= 1", -1, 1.5),
    ],
)
def test_s1_4_domains_of_other_tables_are_understood(
    kind: str, domain: str, value: float, outside: float
) -> None:
    table = table_of(kind, domain)
    [taken] = table.validated(option("x", value))
    assert taken.value == value
    with pytest.raises(InvalidInputError, match="out of range"):
        table.validated(option("x", outside))


def test_s1_4_domains_of_other_tables_that_nobody_knows_are_an_error() -> None:
    with pytest.raises(InvalidInputError, match="Domain value cannot be handled: prime number"):
        table_of("int", "prime number").validated(option("x", 3))


def table_of(kind: str, domain: str) -> OptionTable:
    row = {"name": "x", "type": kind, "value": "0", "domain": domain, "help": ""}
    return OptionTable.parse(json.dumps([row]), host_cores=1)


@pytest.mark.parametrize(("asked", "given"), [([], 2), (option("max-concurrency", 64), 2), (option("max-concurrency", 1), 1)])  # fmt: skip # noqa: E501
async def test_s1_4_max_concurrency_is_capped_and_set_where_absent(
    limited: Node, asked: list[dict[str, Any]], given: int
) -> None:
    assert await taken(limited, asked) == {"max-concurrency": given}
