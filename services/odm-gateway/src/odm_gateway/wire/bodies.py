"""Request bodies as NodeODM's clients send them: forms of both kinds, and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from fastapi import Request

from odm_gateway.domain import javascript
from odm_gateway.wire.answers import RefusedError

FIELDS_AT_MOST_BYTES = 8 << 20
"""Fields are small; a boundary polygon may be some hundred kilobytes."""

Fields: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Body:
    """The fields of a body, and whether files came with them."""

    fields: Fields
    has_files: bool = False


async def read_body(request: Request, *, multipart: bool = True) -> Body:
    """Return the body's fields; a kind that is not understood counts as empty, as it does at NodeODM.

    Raises:
        RefusedError: The body is larger than fields can be, or no valid JSON.
    """
    header = request.headers.get("content-type", "")
    kind = header.partition(";")[0].strip().lower()
    if kind == "multipart/form-data" and multipart:
        return parse_multipart(header, await _read(request))
    if kind == "application/x-www-form-urlencoded":
        return Body(dict(reversed(parse_qsl((await _read(request)).decode(errors="replace"), True))))  # noqa: FBT003
    if kind == "application/json":
        return Body(_parse_json(await _read(request)))
    return Body({})


async def _read(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > FIELDS_AT_MOST_BYTES:
            raise RefusedError(
                "The request is too large: images cannot be uploaded here yet; stage them in the object store"
                " and send their URI as zipurl."
            )
    return b"".join(chunks)


def _parse_json(content: bytes) -> Fields:
    if not content.strip():
        return {}
    try:
        parsed = javascript.parse_json(content)
    except ValueError as error:
        raise RefusedError(f"The body is no JSON: {error}") from error
    return parsed if isinstance(parsed, dict) else {}


def parse_multipart(content_type: str, content: bytes) -> Body:
    """Return the fields of a multipart body; without a boundary or content there are none."""
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    message: Message = BytesParser(policy=HTTP).parsebytes(head + content)
    fields: dict[str, str] = {}
    has_files = False
    for part in message.get_payload() if message.is_multipart() else ():
        assert isinstance(part, Message)
        name = part.get_param("name", header="content-disposition")
        if part.get_param("filename", header="content-disposition") is not None:
            has_files = True
        elif isinstance(name, str):
            payload = part.get_payload(decode=True)
            fields.setdefault(name, payload.decode(errors="replace") if isinstance(payload, bytes) else "")
    return Body(fields, has_files)
