"""The engine's options: their list as ``/options`` shows it, and the check of what a user sends."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from odm_gateway.domain import javascript
from shared.errors import InvalidInputError
from shared.events import Option

Value = str | int | float | bool

POST_PROCESSING = ("pc-ept", "cog", "gltf")
"""Switched on unless the user set them or skips post-processing."""

_CHECKS: Mapping[str, Callable[[float], bool]] = {
    "positive integer": lambda x: x >= 0,
    "positive float": lambda x: x >= 0,
    "negative integer": lambda x: x <= 0,
    "negative float": lambda x: x <= 0,
    "integer": lambda x: math.isfinite(x) and x == math.trunc(x),
    "float": math.isfinite,
    "percent": lambda x: 0 <= x <= 100,  # noqa: PLR2004 - that is what percent means
}
_UNCHECKED = ("string", "path", "")
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_BETWEEN = re.compile(rf"(?:integer|float):\s*{_NUMBER} <= x <= {_NUMBER}")
_COMPARED = re.compile(rf"(?:integer|float) (>=|<=|>|<) {_NUMBER}")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": lambda x, bound: x >= bound,
    "<=": lambda x, bound: x <= bound,
    ">": lambda x, bound: x > bound,
    "<": lambda x, bound: x < bound,
}


class OptionRow(TypedDict):
    """One option with exactly the keys that NodeODM's clients unpack."""

    name: str
    type: Literal["int", "float", "string", "bool", "enum"]
    value: str
    domain: str | list[str]
    help: str


@dataclass(frozen=True, slots=True)
class OptionTable:
    """Every option that a task may carry, in the order in which results are listed."""

    rows: tuple[OptionRow, ...]
    cores_per_task: int | None = None
    """Caps ``max-concurrency`` and sets it where a user does not; none: left alone."""

    @classmethod
    def parse(cls, document: str, *, host_cores: int, cores_per_task: int | None = None) -> OptionTable:
        """Return the table of a JSON document, with this host's cores as default of ``max-concurrency``."""
        rows: list[OptionRow] = json.loads(document)
        for row in rows:
            if row["name"] == "max-concurrency":
                row["value"] = str(host_cores)
        return cls(tuple(rows), cores_per_task)

    def validated(self, asked: Iterable[Mapping[str, Any]]) -> tuple[Option, ...]:
        """Return ``asked`` typed, in the table's order; unknown names vanish, the first of two wins.

        Raises:
            InvalidInputError: Values are wrong; the message is NodeODM's JSON list of names and errors.
        """
        wanted = _first_of_each(asked)
        faults: list[dict[str, str]] = []
        options: list[Option] = []
        for row in self.rows:
            if row["name"] not in wanted:
                continue
            try:
                options.append(Option(name=row["name"], value=_checked(row, wanted[row["name"]])))
            except ValueError as error:
                faults.append({"name": row["name"], "error": str(error)})
        if faults:
            message = json.dumps(faults, separators=(",", ":"), ensure_ascii=False)
            raise InvalidInputError(message, field="options")
        return self._within_cores(options)

    def with_post_processing(self, options: Sequence[Option]) -> tuple[Option, ...]:
        """Return ``options`` with post-processing on, where it is known and the user did not set it."""
        known = {row["name"] for row in self.rows} - {option.name for option in options}
        extra = [Option(name=name, value=True) for name in POST_PROCESSING if name in known]
        return (*options, *extra)

    def _within_cores(self, options: list[Option]) -> tuple[Option, ...]:
        cores = self.cores_per_task
        if cores is None:
            return tuple(options)
        capped = [
            Option(name=option.name, value=min(cores, int(option.value)))
            if option.name == "max-concurrency"
            else option
            for option in options
        ]
        if all(option.name != "max-concurrency" for option in capped):
            capped.append(Option(name="max-concurrency", value=cores))
        return tuple(capped)


def parse_submitted(raw: object) -> list[dict[str, Any]]:
    """Return the options field of a request as a list; text is JSON, and what is no list counts as empty.

    Raises:
        InvalidInputError: It is text, but no JSON.
    """
    if isinstance(raw, str) and raw:
        try:
            raw = javascript.parse_json(raw)
        except ValueError as error:
            raise InvalidInputError(f"options is no JSON: {error}", field="options") from error
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []


def _first_of_each(asked: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for option in asked:
        name = option.get("name")
        if isinstance(name, str):
            wanted.setdefault(name, option.get("value"))
    return wanted


def _checked(row: OptionRow, raw: object) -> Value:
    """Return ``raw`` in the row's type and domain, or raise ValueError as NodeODM words it."""
    value = _converted(row["type"], raw)
    domain = row["domain"]
    if isinstance(domain, list):
        if raw not in domain:
            raise ValueError(f"Invalid value {javascript.text(raw)} (not in enum)")
        return value
    if not _inside(domain, value, raw):
        raise ValueError(f"Invalid value {javascript.text(value)} (out of range)")
    return value


def _converted(kind: str, raw: object) -> Value:
    if kind == "bool":
        return _boolean(raw)
    if kind == "int":
        return javascript.parse_int(raw)
    if kind == "float":
        return javascript.parse_float(raw)
    return raw if isinstance(raw, str | int | float | bool) else javascript.text(raw)


def _boolean(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    known = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(raw, str) and raw in known:
        return known[raw]
    raise ValueError(f"Cannot convert {javascript.text(raw)} to boolean")


def _inside(domain: str, value: Value, raw: object) -> bool:
    if domain in _UNCHECKED:
        return True
    if domain == "json":
        return isinstance(raw, str) and _is_json(raw)
    number = float(value) if isinstance(value, int | float) else math.nan
    if domain in _CHECKS:
        return _CHECKS[domain](number)
    if between := _BETWEEN.fullmatch(domain):
        return float(between[1]) <= number <= float(between[2])
    if compared := _COMPARED.fullmatch(domain):
        return _COMPARE[compared[1]](number, float(compared[2]))
    raise ValueError(f"Domain value cannot be handled: {domain}")


def _is_json(text: str) -> bool:
    try:
        javascript.parse_json(text)
    except ValueError:
        return False
    return True
