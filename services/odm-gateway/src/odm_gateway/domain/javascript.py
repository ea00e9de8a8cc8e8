"""The few conversions of JavaScript that NodeODM's clients have come to rely on."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_INT = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|\d+)")
_FLOAT = re.compile(r"\s*([+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))")
_RADIX = {"0x": 16, "0o": 8, "0b": 2}
DIGITS_AT_MOST = 250
"""Longer whole numbers do not fit into a double, hexadecimal ones included."""
_EXACT_BELOW = 1e21
"""From here on JavaScript writes whole numbers with an exponent."""


def parse_int(value: object) -> float:
    """Return ``parseInt(value)``: the leading whole number, or NaN."""
    found = _INT.match(text(value))
    if not found:
        return math.nan
    sign, digits = found.groups()
    if len(digits) > DIGITS_AT_MOST:
        number: float = math.inf
    else:
        number = int(digits, 16 if digits[:2].lower() == "0x" else 10)
    return -number if sign == "-" else number


def parse_json(written: str | bytes) -> Any:
    """Return ``JSON.parse(written)``.

    Raises:
        ValueError: It is no JSON, or nothing that could be stored and sent on: too deep, or no Unicode.
    """
    try:
        parsed = json.loads(written, parse_constant=_refused)
        json.dumps(parsed, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return parsed


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def parse_float(value: object) -> float:
    """Return ``parseFloat(value)``: the leading number, or NaN."""
    found = _FLOAT.match(text(value))
    return float(found.group(1)) if found else math.nan


def to_number(written: str) -> float:
    """Return ``Number(written)``: the whole text as a number; blank is 0, anything else NaN."""
    trimmed = written.strip()
    if not trimmed:
        return 0
    if radix := _RADIX.get(trimmed[:2].lower()):
        try:
            return float(int(trimmed[2:], radix))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf
    found = _FLOAT.fullmatch(trimmed)
    return float(found.group(1)) if found else math.nan


def first_index(length: int, start: str | None) -> int:
    """Return where ``slice(start)`` begins: negative counts from the end, what is no number is 0."""
    number = to_number(start or "")
    if math.isnan(number):
        return 0
    if math.isinf(number):
        return 0 if number < 0 else length
    index = math.trunc(number)
    return max(0, length + index) if index < 0 else min(index, length)


def text(value: object) -> str:
    """Return ``String(value)``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number_text(value)
    if isinstance(value, list):
        return ",".join("" if item is None else text(item) for item in value)
    return "[object Object]" if isinstance(value, dict) else str(value)


def _number_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == math.trunc(value) and abs(value) < _EXACT_BELOW:
        return str(math.trunc(value))
    return re.sub(r"e([+-])0+(?=\d)", r"e\1", repr(float(value)))
