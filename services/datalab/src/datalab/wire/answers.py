"""Answers in JSON, made in one go: clients need their length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response
from pydantic_core import from_json, to_json
from typing_extensions import override


class Written:
    """A part of an answer that is JSON already."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content


class JsonAnswer(Response):
    """Anything that is JSON; numbers that JSON does not have are null."""

    media_type = "application/json"

    def __init__(
        self, content: Any = None, status_code: int = 200, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code, headers=headers)

    @override
    def render(self, content: Any) -> bytes:
        return json_bytes(content)


def json_bytes(content: Any) -> bytes:
    """Return something as JSON; parts of it may be ``Written`` already."""
    try:
        return orjson.dumps(content, default=_part)
    except TypeError:  # numbers beyond 64 bits
        return to_json(content, inf_nan_mode="null", fallback=_read_again)


def _part(value: Any) -> orjson.Fragment:
    if isinstance(value, Written):
        return orjson.Fragment(value.content)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _read_again(value: Any) -> Any:
    if isinstance(value, Written):
        return from_json(value.content)
    raise TypeError(f"{type(value).__name__} is no JSON")
