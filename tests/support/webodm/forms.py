"""Bodies of requests: JSON, forms, and forms with files."""

from __future__ import annotations

import html
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from tests.support.webodm.refusals import RefusedError


@dataclass
class Sent:
    """A file that came with a form, whole, in a temporary place."""

    name: str
    path: Path


@dataclass
class Form:
    """What came."""

    fields: dict[str, Any] = field(default_factory=dict)
    files: list[Sent] = field(default_factory=list)


@asynccontextmanager
async def read_form(request: web.Request) -> AsyncIterator[Form]:
    """Read a body to its end before anything is done with it, as a proxy in front does, too."""
    with tempfile.TemporaryDirectory() as folder:
        yield await _form(request, Path(folder))


async def _form(request: web.Request, folder: Path) -> Form:
    if not request.content_length:
        return Form()  # Django reads as much as Content-Length says: chunked bodies are empty ones
    match request.content_type:
        case "application/json":
            return Form(_object(await request.read()))
        case "application/x-www-form-urlencoded":
            return Form(dict(await request.post()))
        case "multipart/form-data":
            return await _multipart(request, folder)
        case _:
            raise RefusedError(
                415, {"detail": f'Unsupported media type "{request.content_type}" in request.'}
            )


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise RefusedError(400, {"detail": f"JSON parse error - {error}"}) from None
    if not isinstance(found, dict):
        raise RefusedError(400, {"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return found


async def _multipart(request: web.Request, folder: Path) -> Form:
    form = Form()
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        if part.filename is None:
            form.fields[part.name or ""] = (await part.read()).decode()
            continue
        path = folder / str(len(form.files))
        with path.open("wb") as file:
            while chunk := await part.read_chunk(1 << 16):
                file.write(chunk)
        form.files.append(Sent(_kept_name(part.filename), path))
    return form


def _kept_name(name: str) -> str:
    """Return a file's name as Django takes it."""
    return html.unescape(name).rsplit("/", 1)[-1].rsplit("\\", 1)[-1]
