"""Answers in JSON, made in one go: clients need their length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Response
from pydantic_core import to_json
from typing_extensions import override


class JsonAnswer(Response):
    """Anything that is JSON; numbers that JSON does not have are null."""

    media_type = "application/json"

    def __init__(
        self, content: Any = None, status_code: int = 200, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code, headers=headers)

    @override
    def render(self, content: Any) -> bytes:
        return to_json(content, inf_nan_mode="null")
