"""The comparer that keeps events to additions."""

from typing import Any

import pytest

from shared.events.compatibility import breaking_changes

Schema = dict[str, Any]

OLD: Schema = {
    "$defs": {"Scale": {"type": "object", "properties": {"applied": {"type": "number"}}}},
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 10},
        "count": {"type": "integer", "minimum": 0},
        "kind": {"enum": ["odm", "datalab"]},
        "error": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "scale": {"$ref": "#/$defs/Scale"},
        "assets": {"type": "array", "items": {"type": "string"}},
        "summary": {"type": "object", "additionalProperties": True},
    },
}


def changed(name: str, schema: Schema, **root: Any) -> Schema:
    return {**OLD, "properties": {**OLD["properties"], name: schema}, **root}


def without(name: str) -> Schema:
    return {**OLD, "properties": {key: value for key, value in OLD["properties"].items() if key != name}}


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        changed("note", {"type": "string"}),
        changed("count", {"type": "integer"}),
        changed("count", {"type": "number", "minimum": -1}),
        changed("id", {"type": "string", "minLength": 0, "maxLength": 20}),
        changed("kind", {"enum": ["odm", "datalab", "ingest"]}),
        changed("kind", {"type": "string"}, title="ignored"),
        changed("error", {"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "integer"}]}),
        changed("assets", {"type": "array"}),
        {**OLD, "required": []},
    ],
)
def test_additions_and_widenings_are_no_break(new: Schema) -> None:
    assert breaking_changes(OLD, new) == []


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (without("count"), "event.count: was removed"),
        ({**OLD, "required": ["id", "count"]}, "event.count: became required"),
        (changed("note", {}, required=["id", "note"]), "event.note: became required"),
        (changed("count", {"type": "string"}), "event.count: integer is no longer accepted"),
        (changed("count", {"type": "integer", "minimum": 1}), "event.count: minimum went from 0 to 1"),
        (changed("count", {"type": "integer", "maximum": 9}), "event.count: maximum went from None to 9"),
        (changed("id", {"type": "string", "maxLength": 5}), "event.id: maxLength went from 10 to 5"),
        (changed("id", {"type": "string", "pattern": "^a"}), "event.id: pattern went from None to ^a"),
        (changed("kind", {"enum": ["odm"]}), "event.kind: 'datalab' is no longer accepted"),
        (changed("kind", {"const": "odm"}), "event.kind: 'datalab' is no longer accepted"),
        (changed("id", {"enum": ["a"]}), "event.id: only ['a'] are accepted now"),
        (changed("error", {"type": "string"}), "event.error: null is no longer accepted"),
        (changed("assets", {"type": "array", "items": {"type": "integer"}}), "event.assets[]: string"),
        (changed("summary", {"type": "object", "additionalProperties": False}), "event.summary.*: is no"),
        (changed("scale", {"type": "object"}), "event.scale.applied: was removed"),
        (
            changed("scale", OLD["properties"]["scale"], **{"$defs": {"Scale": {"type": "null"}}}),
            "event.scale",
        ),
    ],
)
def test_what_is_taken_back_is_told(new: Schema, told: str) -> None:
    changes = breaking_changes(OLD, new)

    assert any(change.startswith(told) for change in changes), changes


def test_a_narrower_alternative_is_told_with_its_reason() -> None:
    old = changed("error", {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]})
    new = changed("error", {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]})

    (change,) = breaking_changes(old, new)

    assert change == ("event.error: string is no longer accepted (event.error: maxLength went from 9 to 5)")
