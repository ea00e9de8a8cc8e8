"""What a new JSON Schema takes back of an old one: only additions keep old readers and writers working.

Covers the keywords that pydantic writes for our models; ``anyOf`` is compared alternative by alternative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

Schema = dict[str, Any]

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_JSON_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}
FORMS = ("pattern", "format", "multipleOf", "uniqueItems")


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return what ``new`` no longer has or no longer accepts, one sentence each."""
    return list(_Comparison(old, new).changes(old, new, "event"))


@dataclass(frozen=True)
class _Comparison:
    old_root: Schema
    new_root: Schema

    def changes(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        olds = [_resolved(each, self.old_root) for each in _alternatives(_resolved(old, self.old_root))]
        news = [_resolved(each, self.new_root) for each in _alternatives(_resolved(new, self.new_root))]
        if len(olds) == len(news) == 1:
            yield from self._of_one(olds[0], news[0], path)
            return
        for each in olds:
            attempts = [list(self._of_one(each, other, path)) for other in news]
            if all(attempts):
                closest = min(attempts, key=len)
                yield f"{path}: {_named(each)} is no longer accepted ({'; '.join(closest)})"

    def _of_one(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        return chain(
            _type_changes(old, new, path),
            _value_changes(old, new, path),
            _bound_changes(old, new, path),
            self._property_changes(old, new, path),
            self._content_changes(old, new, path),
        )

    def _property_changes(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name in after:
                yield from self.changes(before[name], after[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}: was removed"
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{path}.{name}: became required"

    def _content_changes(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        for keyword, suffix in (("items", "[]"), ("additionalProperties", ".*")):
            before, after = old.get(keyword, True), new.get(keyword, True)
            if after is True or before is False:
                continue
            if after is False:
                yield f"{path}{suffix}: is no longer accepted"
            else:
                yield from self.changes({} if before is True else before, after, f"{path}{suffix}")


def _type_changes(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, after = _types(old), _types(new)
    if after and (lost := (before - after) if before else {"any other type"}):
        yield f"{path}: {', '.join(sorted(lost))} is no longer accepted"


def _value_changes(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if after is None:
        return
    if before is None:
        yield f"{path}: only {after} are accepted now"
    else:
        yield from (f"{path}: {value!r} is no longer accepted" for value in before if value not in after)


def _bound_changes(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for keyword in (*LOWER_BOUNDS, *UPPER_BOUNDS):
        before, after = old.get(keyword), new.get(keyword)
        rose = keyword in LOWER_BOUNDS and before is not None and after is not None and after > before
        fell = keyword in UPPER_BOUNDS and before is not None and after is not None and after < before
        if after is not None and (before is None or rose or fell):
            yield f"{path}: {keyword} went from {before} to {after}"
    for keyword in FORMS:
        before, after = old.get(keyword), new.get(keyword)
        if after is not None and after != before:
            yield f"{path}: {keyword} went from {before} to {after}"


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        *_, name = schema["$ref"].split("/")
        schema = {**root["$defs"][name], **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _alternatives(schema: Schema) -> list[Schema]:
    alternatives: list[Schema] = schema.get("anyOf", [schema])
    return alternatives


def _types(schema: Schema) -> set[str]:
    kind = schema.get("type", [_JSON_TYPES[type(value)] for value in _values(schema) or ()])
    types = {kind} if isinstance(kind, str) else set(kind)
    return types | {"integer"} if "number" in types else types


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _named(schema: Schema) -> str:
    return str(schema.get("title") or schema.get("type") or schema)
