"""JSON Schema in words, for tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "≥ {} characters",
    "maxLength": "≤ {} characters",
    "minItems": "≥ {} items",
    "pattern": "`{}`",
}


def resolve(schema: Schema, definitions: Schema) -> Schema:
    """Return ``schema`` with its reference, if it is one, replaced by what it refers to."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rsplit("/", 1)[-1]
    return {**definitions[name], **{key: value for key, value in schema.items() if key != "$ref"}}


def type_words(schema: Schema, definitions: Schema) -> str:
    """Return what kind of value it is, such as ``list of string``."""
    schema = resolve(schema, definitions)
    if "anyOf" in schema:
        words = [type_words(each, definitions) for each in schema["anyOf"]]
        return " or ".join(dict.fromkeys(words))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {type_words(schema.get('items', {}), definitions)}"
    return str(schema.get("format") or schema.get("type", "anything"))


def limit_words(schema: Schema, definitions: Schema) -> str:
    """Return the limits of a value, alternatives included."""
    return ", ".join(dict.fromkeys(_limits(schema, definitions)))


def cell(text: str) -> str:
    """Return ``text`` as it may stand in a Markdown table."""
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def _limits(schema: Schema, definitions: Schema) -> Iterator[str]:
    schema = resolve(schema, definitions)
    for alternative in schema.get("anyOf", ()):
        yield from _limits(alternative, definitions)
    for keyword, words in _LIMITS.items():
        if keyword in schema:
            yield words.format(schema[keyword])
