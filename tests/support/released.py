"""What released code has written: a sample of every document and event, kept for the code that comes after.

``python -m tests.support.released`` writes those of this release anew, and refuses what would take back
something that was promised before.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from flightline.backup.documents import KEPT
from shared.events import EVENT_TYPES, Event
from shared.events.compatibility import breaking_changes

Json = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[1] / "contract" / "released"
THIS = version("flightline")
TEXTS = {
    "date-time": "2026-01-02T03:04:05Z",
    "uuid": "0f7c3a52-6a5e-4d0f-8a39-3b1f0d6c2e11",
    "duration": "PT5S",
    "uri": "https://example.org/a",
    r"^[a-z][a-z0-9+.-]*://": "s3://bucket/a",
    r"^[0-9a-f]{64}$": "9f86d081" * 8,
    r"^1\.\d+$": "1.0",
}
"""By format or pattern."""


def models() -> dict[str, type[BaseModel]]:
    """Return what is stored and what is told, by its name in the files."""
    events: dict[str, type[BaseModel]] = {
        f"event {data_type.type}": Event[data_type]  # type: ignore[valid-type]
        for data_type in EVENT_TYPES
    }
    return {**{f"document {kept.spec.name}": kept.model for kept in KEPT}, **events}


def written(model: type[BaseModel]) -> Json:
    """Return the schema of a model, and what it writes: with every field, and with as few as can be."""
    schema = _bare(model.model_json_schema())
    samples = [_written(model, _Filled(schema, is_full=is_full)) for is_full in (True, False)]
    return {"schema": schema, "samples": samples}


def _bare(schema: Any) -> Any:
    """Return a schema without what it says to people: that may change from day to day."""
    match schema:
        case dict():
            said = {"title", "description"} if "type" in schema or "$ref" in schema else set()
            told = {name for name in said if isinstance(schema.get(name), str)}
            return {name: _bare(value) for name, value in schema.items() if name not in told}
        case list():
            return [_bare(value) for value in schema]
        case _:
            return schema


def with_additions(value: Any, schema: Json, root: Json) -> Any:
    """Return ``value`` as a later release may write it: each of its objects has a field more."""
    if "$ref" in schema:
        return with_additions(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    match value:
        case dict() if "properties" in schema:
            known = schema["properties"]
            return {
                **{name: with_additions(each, known.get(name, {}), root) for name, each in value.items()},
                "added_later": {"by": ["a", "later", "release"]},
            }
        case list() if isinstance(schema.get("items"), dict):
            return [with_additions(each, schema["items"], root) for each in value]
        case _ if "anyOf" in schema:
            wanted = (each for each in schema["anyOf"] if each.get("type") != "null")
            return with_additions(value, next(wanted, {}), root)
        case _:
            return value


def _written(model: type[BaseModel], filled: _Filled) -> Json:
    return model.model_validate(filled.value(filled.root)).model_dump(mode="json")


def all_written() -> dict[str, Json]:
    """Return what this code writes."""
    return {name: written(model) for name, model in models().items()}


def releases() -> dict[str, dict[str, Json]]:
    """Return what was kept, by release."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def taken_back(before: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """Return what cannot be read any more: by us of what was written, or by those before of what we write."""
    faults = [f"{name} is gone" for name in before if name not in now]
    for name in before.keys() & now.keys():
        old, new = before[name]["schema"], now[name]["schema"]
        faults += [f"{name}, read by us: {change}" for change in breaking_changes(old, new)]
        faults += [
            f"{name}, read by them: {change}"
            for change in breaking_changes(new, old)
            if not change.endswith(": was removed")  # to them: a field that they leave as it is
        ]
    return faults


class _Filled:
    """Makes up values that fit a schema."""

    def __init__(self, root: Json, *, is_full: bool) -> None:
        self.root = root
        self._is_full = is_full

    def value(self, schema: Json) -> Any:
        if "$ref" in schema:
            schema = self.root["$defs"][schema["$ref"].rpartition("/")[2]]
        if "enum" in schema or "const" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        if "anyOf" in schema:
            return self._alternative(schema["anyOf"])
        by_type: dict[str | None, Callable[[Json], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._text,
            "boolean": lambda _: self._is_full,
            "integer": self._number,
            "number": self._number,
        }
        return by_type.get(schema.get("type"), self._anything)(schema)

    def _anything(self, schema: Json) -> Any:
        return {"any": "thing"} if self._is_full and schema.get("type") != "null" else None

    def _number(self, schema: Json) -> int:
        least: int = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        return least

    def _alternative(self, schemas: list[Json]) -> Any:
        by_null = sorted(schemas, key=lambda schema: schema.get("type") == "null", reverse=not self._is_full)
        return self.value(by_null[0])

    def _object(self, schema: Json) -> Json:
        needed = schema.get("required", ())
        found = {
            name: self.value(each)
            for name, each in schema.get("properties", {}).items()
            if self._is_full or name in needed or "default" not in each  # made up anew each time, like a time
        }
        more = schema.get("additionalProperties")
        if not self._is_full or not isinstance(more, dict):
            return found
        return found | {self.value(schema.get("propertyNames", {"type": "string"})): self.value(more)}

    def _array(self, schema: Json) -> list[Any]:
        if "prefixItems" in schema:
            return [self.value(item) for item in schema["prefixItems"]]
        count = max(schema.get("minItems", 0), 1)
        return [self.value(schema.get("items", {})) for _ in range(count)]

    def _text(self, schema: Json) -> str:
        named = schema.get("format") or schema.get("pattern")
        shortest: int = schema.get("minLength", 1)
        return TEXTS.get(str(named), "a" * max(1, shortest))


def main() -> None:
    """Write what this release writes, unless it takes something back."""
    now = all_written()
    for release, before in releases().items():
        if faults := taken_back(before, now):
            sys.exit(f"{release} would be broken:\n" + "\n".join(faults))
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(now, indent=1, sort_keys=True)
    (FOLDER / f"{THIS}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
