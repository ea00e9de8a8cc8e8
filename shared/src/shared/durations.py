"""Durations as people write them: ``5m``, ``1h30m``, ``PT5M``, or a number of seconds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_settings import NoDecode

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ISO = re.compile(r"P(?!$)(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)

EXPECTED = "expected a duration such as 30s, 5m, 1h30m, PT5M or a number of seconds"


def parse_duration(value: object) -> timedelta:
    """Return ``value`` as a duration.

    Raises:
        ValueError: It is none, or it is negative.
    """
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        duration = timedelta(seconds=value)
    else:
        duration = _parse_text(str(value).strip())
    if duration < timedelta():
        raise ValueError("expected a duration that is not negative")
    return duration


def format_duration(duration: timedelta) -> str:
    """Return ``duration`` in its largest units, such as ``1h30m``."""
    left_ms = round(duration.total_seconds() * 1000)
    parts = []
    for unit, unit_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left_ms = divmod(left_ms, unit_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _parse_text(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        pass
    if iso := _ISO.fullmatch(text):
        days, hours, minutes, seconds = (float(part or 0) for part in iso.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    parts = _PART.findall(text.lower())
    if not parts or _PART.sub("", text.lower()):
        raise ValueError(EXPECTED)
    return timedelta(seconds=sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def _split(value: object) -> object:
    return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_as_text: Any = PlainSerializer(format_duration, return_type=str, when_used="json")
_schema: Any = WithJsonSchema({"type": "string", "examples": ["30s", "5m", "PT5M"]})

Duration = Annotated[timedelta, BeforeValidator(parse_duration), _as_text, _schema]
"""A field that is read as in ``parse_duration``."""

Durations = Annotated[tuple[Duration, ...], NoDecode, BeforeValidator(_split)]
"""Durations with commas between them, such as ``5s,30s,2m``."""
