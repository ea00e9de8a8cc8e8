"""Lists by limit and offset, with the addresses of the pages beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Request
from pydantic import WithJsonSchema

from datalab.clock import to_us
from datalab.wire.errors import at_fault

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
LARGEST_OFFSET = 10_000_000
_DIGITS_AT_MOST = 18

Count = Annotated[str | None, WithJsonSchema({"type": "integer", "minimum": 0})]
"""What is no number counts as not given, as clients are used to."""
Moment = Annotated[str | None, WithJsonSchema({"type": "string", "format": "date-time"})]


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is wanted."""

    limit: int
    offset: int


def window(limit: str | None, offset: str | None) -> Window:
    """Return the part that a query asks for."""
    return Window(
        min(_count(limit) or DEFAULT_LIMIT, LARGEST_LIMIT), min(_count(offset) or 0, LARGEST_OFFSET)
    )


def moment_us(name: str, text: str | None) -> int | None:
    """Return a date or a time of a query, UTC unless it says otherwise, in microseconds since 1970.

    Raises:
        RefusedError: It is none.
    """
    if not text:
        return None
    try:
        return to_us(_moment(text))
    except (ValueError, OverflowError) as error:
        raise at_fault({name: ["Enter a valid date/time."]}) from error


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # a plus that was not escaped arrives as a blank
        start, _, zone = text.rpartition(" ")
        return datetime.fromisoformat(f"{start}+{zone}")


def envelope(
    request: Request, base_url: str, part: Window, total: int, results: Sequence[Any]
) -> dict[str, Any]:
    """Return a page with its neighbours' addresses."""
    after, before = part.offset + part.limit, part.offset - part.limit
    return {
        "count": total,
        "next": _address(request, base_url, part.limit, after) if after < total else None,
        "previous": _address(request, base_url, part.limit, before) if part.offset > 0 else None,
        "results": results,
    }


def _address(request: Request, base_url: str, limit: int, offset: int) -> str:
    url = request.url.include_query_params(limit=limit)
    url = url.include_query_params(offset=offset) if offset > 0 else url.remove_query_params("offset")
    return f"{base_url}{url.path}?{url.query}"


def _count(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > _DIGITS_AT_MOST:
        return None
    return int(text)
