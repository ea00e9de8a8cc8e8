"""How systems are searched for, ordered and paged: ``search``, ``orderBy``, ``startAfter``, ``select``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flightline.tapis_simulator.answers import RefusedError

Record = Mapping[str, Any]
Test = Callable[[str], bool]

_ORDER = re.compile(r"(\w+)(?:\((asc|desc)\))?", re.IGNORECASE)
_TERM = re.compile(r"(\w+)\.(\w+)\.(.*)", re.DOTALL)
_WILD = {"*": ".*", "!": "."}


@dataclass(frozen=True, slots=True)
class Order:
    """Attribute to sort by."""

    attribute: str
    is_descending: bool = False


def parse_search(text: str, attributes: Sequence[str]) -> Callable[[Record], bool]:
    """Return the test that ``(attribute.operator.value)~(...)`` describes.

    Raises:
        RefusedError: It describes none, or names an attribute or an operator that is unknown.
    """
    terms = [_parse_term(part, attributes) for part in _split(text, "~") if part.strip()]
    return lambda record: all(test(record) for test in terms)


def parse_order(text: str, attributes: Sequence[str]) -> Order:
    """Return the order that ``id`` or ``id(desc)`` describes."""
    found = _ORDER.fullmatch(text.strip())
    if found is None:
        raise RefusedError(400, f"TAPIS_QUERY_PARAM_ERROR Unable to parse orderBy: {text}")
    return Order(_attribute(found[1], attributes), (found[2] or "").lower() == "desc")


def sort_key(order: Order) -> Callable[[Record], tuple[bool, Any]]:
    """Return a key by which records without the attribute come last."""
    return lambda record: (record[order.attribute] is None, _text(record[order.attribute]))


def is_after(record: Record, order: Order, start: str) -> bool:
    """Return whether ``record`` comes behind ``start``."""
    value = _text(record[order.attribute])
    return value < start if order.is_descending else value > start


def _split(text: str, separator: str) -> list[str]:
    """Split where no backslash stands before the separator."""
    return re.split(rf"(?<!\\){re.escape(separator)}", text)


def _parse_term(text: str, attributes: Sequence[str]) -> Callable[[Record], bool]:
    inner = text.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1]
    found = _TERM.fullmatch(inner)
    if found is None:
        raise RefusedError(400, f"SEARCH_COND_INVALID Unable to parse search condition: {text}")
    attribute, operator, value = _attribute(found[1], attributes), found[2].lower(), found[3]
    if operator in ("contains", "ncontains"):
        wanted = set(_split(value, ","))
        return lambda record: (not wanted.isdisjoint(record[attribute] or ())) == (operator == "contains")
    test = _test(operator, value)
    return lambda record: test(_text(record[attribute]))


def _attribute(name: str, attributes: Sequence[str]) -> str:
    head, *tail = name.split("_")
    camel = head + "".join(part.capitalize() for part in tail)
    if camel not in attributes:
        raise RefusedError(400, f"SEARCH_DB_NO_COLUMN Unable to find attribute: {name}")
    return camel


def _test(operator: str, value: str) -> Test:
    plain = re.sub(r"\\(.)", r"\1", value)
    several = [re.sub(r"\\(.)", r"\1", part) for part in _split(value, ",")]
    pattern = _pattern(value)
    low, high = several[0], several[-1]
    tests: dict[str, Test] = {
        "eq": lambda text: text == plain,
        "neq": lambda text: text != plain,
        "gt": lambda text: text > plain,
        "gte": lambda text: text >= plain,
        "lt": lambda text: text < plain,
        "lte": lambda text: text <= plain,
        "in": lambda text: text in several,
        "nin": lambda text: text not in several,
        "like": lambda text: pattern.fullmatch(text) is not None,
        "nlike": lambda text: pattern.fullmatch(text) is None,
        "between": lambda text: low <= text <= high,
        "nbetween": lambda text: not low <= text <= high,
    }
    if operator not in tests:
        raise RefusedError(400, f"SEARCH_COND_INVALID_OP Invalid search operator: {operator}")
    return tests[operator]


def _pattern(value: str) -> re.Pattern[str]:
    """Translate ``*`` and ``!``; a backslash takes their meaning away."""
    parts = re.findall(r"\\(.)|(.)", value, re.DOTALL)
    regex = "".join(re.escape(quoted) if quoted else _WILD.get(one, re.escape(one)) for quoted, one in parts)
    return re.compile(regex, re.DOTALL)


def _text(value: object) -> str:
    """Return a value as it is written in a condition."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
