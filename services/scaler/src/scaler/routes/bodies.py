"""Images that arrive in requests: raw, or as the file of a form; bounded, and never larger than allowed."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from shared.errors import InvalidInputError

CHUNK_BYTES = 1 << 20
JSON_AT_MOST_BYTES = 64 << 10
FORM_OVERHEAD_BYTES = 64 << 10
"""Of a form around its file."""
NAME_AT_MOST_BYTES = 200
_FIELDS_AT_MOST = 8
_REFUSED = re.compile(r"[\x00-\x1f\x7f/\\]")


@dataclass(frozen=True, slots=True)
class Sent:
    """An image that comes with a request."""

    name: str
    chunks: AsyncIterator[bytes]
    fields: Mapping[str, str] = field(default_factory=dict)
    """What else a form says."""


def media_type(request: Request) -> str:
    """Return the body's media type in small letters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_raw(kind: str) -> bool:
    """Return whether a body of this type is an image and nothing else."""
    return kind.startswith("image/") or kind in ("application/octet-stream", "binary/octet-stream")


@asynccontextmanager
async def sent_image(request: Request, at_most: int) -> AsyncIterator[Sent]:
    """Give the image that a request carries.

    Raises:
        HTTPException: 413, it is larger than ``at_most`` bytes, told while its chunks are taken, too; 415, it
            is neither an image nor a form.
        InvalidInputError: The form is broken, or has no file.
    """
    kind = media_type(request)
    if is_raw(kind):
        _check_length(request, at_most)
        chunks = _bounded(request.stream(), at_most)
        yield Sent(plain_name(_file_name(request.headers.get("content-disposition", ""))), chunks)
    elif kind == "multipart/form-data":
        _check_length(request, at_most + FORM_OVERHEAD_BYTES)
        async with _form(request, at_most + FORM_OVERHEAD_BYTES) as sent:
            yield Sent(sent.name, _bounded(sent.chunks, at_most), sent.fields)
    else:
        raise HTTPException(
            415, "send an image as image/…, application/octet-stream or multipart/form-data, or a JSON object"
        )


async def json_body(request: Request, model: type[BaseModel]) -> Any:
    """Return a small JSON body as ``model``.

    Raises:
        HTTPException: 413, it is large.
        RequestValidationError: It is not of the model's form.
    """
    content = bytearray()
    async for chunk in _bounded(request.stream(), JSON_AT_MOST_BYTES):
        content += chunk
    try:
        return model.model_validate_json(bytes(content))
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_context=False)]
        raise RequestValidationError(faults) from error


@asynccontextmanager
async def _form(request: Request, at_most: int) -> AsyncIterator[Sent]:
    parser = MultiPartParser(
        request.headers, _bounded(request.stream(), at_most), max_files=1, max_fields=_FIELDS_AT_MOST
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise InvalidInputError(f"the form cannot be read: {error}", field="body") from error
    try:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        if not files:
            raise InvalidInputError("the form has no file: send the image as one", field="image")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        yield Sent(plain_name(files[0].filename or ""), _content(files[0]), fields)
    finally:
        await form.close()


async def _content(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK_BYTES):
        yield chunk


def _check_length(request: Request, at_most: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > at_most:
        raise _too_large(at_most)


async def _bounded(chunks: AsyncIterator[bytes], at_most: int) -> AsyncGenerator[bytes, None]:
    size = 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > at_most:
                raise _too_large(at_most)
            if chunk:
                yield chunk
    except ClientDisconnect as error:
        raise InvalidInputError("the body broke off", field="body") from error


def _too_large(at_most: int) -> HTTPException:
    return HTTPException(413, f"at most {at_most} bytes are taken")


def _file_name(disposition: str) -> str:
    message = Message()
    message["content-disposition"] = disposition
    return message.get_filename() or ""


def plain_name(name: str) -> str:
    """Return the last part of a file's name, in characters that every store and system takes."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = _REFUSED.sub("_", last).strip(" .") or "image"
    encoded = plain.encode(errors="replace")
    return encoded[-NAME_AT_MOST_BYTES:].decode(errors="ignore")
