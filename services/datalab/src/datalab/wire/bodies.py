"""Request bodies: JSON, or a form of plain fields; bounded, and nothing in them that cannot be told again."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from datalab.wire.errors import RefusedError

ARRIVES_WITHIN_S = 60.0
FIELDS_AT_MOST = 100
SKIPPED_AT_MOST_BYTES = 64 << 20
"""The rest of a body that is too large is read up to here: clients hear an answer only when all is sent."""

_SUSPICIOUS = re.compile(rb"[0-9]{18,}|[0-9]\.?[eE]")
"""Text without it has no number beyond 64 bits, and none that overflows."""


async def read_object(request: Request, at_most_bytes: int) -> dict[str, Any]:
    """Return the fields that a request brings.

    Raises:
        RefusedError: The body is too large, is no JSON, or no object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    content = await _content(request, at_most_bytes)
    if kind == "application/x-www-form-urlencoded":
        return _form(content)
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise RefusedError(f'Unsupported media type "{kind}" in request.', status=415)
    value = parse_json(content) if content.strip() else {}
    if not isinstance(value, dict):
        message = f"Invalid data. Expected a dictionary, but got {type(value).__name__}."
        raise RefusedError(message, faults={"non_field_errors": [message]})
    return value


def parse_json(content: bytes) -> Any:
    """Return what JSON text means.

    Raises:
        RefusedError: It is no JSON, or has numbers that others could not read.
    """
    try:
        value = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise RefusedError(f"JSON parse error - {error}") from error
    if _SUSPICIOUS.search(content):
        _check_numbers(value)
    return value


def _check_numbers(value: Any) -> None:
    for number in _numbers(value):
        if isinstance(number, float) and not math.isfinite(number):
            raise RefusedError("JSON parse error - a number is larger than any that can be kept")
        if isinstance(number, int) and not -(2**63) <= number < 2**63:
            raise RefusedError("JSON parse error - an integer has more than 64 bits")


def _numbers(value: Any) -> Iterator[float | int]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)


async def _content(request: Request, at_most_bytes: int) -> bytes:
    content = bytearray()
    skipped_bytes = 0
    try:
        async with asyncio.timeout(ARRIVES_WITHIN_S):
            async for chunk in request.stream():
                if len(content) + len(chunk) <= at_most_bytes and not skipped_bytes:
                    content += chunk
                    continue
                skipped_bytes += len(chunk)
                if skipped_bytes > SKIPPED_AT_MOST_BYTES:
                    break
    except TimeoutError as error:
        raise RefusedError("The request's body did not arrive in time.", status=408) from error
    except ClientDisconnect as error:
        raise RefusedError("The connection ended before the body did.") from error
    if skipped_bytes:
        raise RefusedError(f"The request's body has more than {at_most_bytes} bytes.", status=413)
    return bytes(content)


def _form(content: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=FIELDS_AT_MOST)
    except ValueError as error:
        raise RefusedError(f"Form parse error - {error}") from error
    fields: dict[str, Any] = dict(pairs)
    if isinstance(text := fields.get("input_data"), str):
        fields["input_data"] = parse_json(text.encode())
    return fields
