"""Request bodies as NodeODM's clients send them: forms of both kinds, and JSON."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl

from fastapi import Request

from odm_gateway.domain import javascript
from odm_gateway.domain.pace import Pace
from odm_gateway.refusals import RefusedError
from odm_gateway.wire.multipart import Form, Part, boundary_of
from shared.errors import PermanentError, TransientError

FIELDS_AT_MOST_BYTES = 2 << 20
"""Fields are small; a boundary polygon may be some hundred kilobytes. NodeODM takes 1 MiB of each."""
FIELDS_AT_MOST = 1000
SILENCE_AT_MOST_S = 120.0
"""A client that sends nothing for so long has gone."""
SLOWEST_BYTES_PER_S = 256
"""One that sends less, once it is as late as that, wants to hold a connection and not to send a file."""
FILES_AT_ONCE = 3
"""Files of a request of which the last bytes may still be on their way to the disk."""
SKIPPED_AT_MOST_BYTES = 1 << 30
SKIPPED_FOR_AT_MOST_S = 60.0
"""A refused body is read to its end, up to a point, because clients hear an answer only when all is sent."""

FORM = "multipart/form-data"
UPLOAD_FIELD = "images"
"""The only field that files may come in."""

Fields: TypeAlias = Mapping[str, Any]
TakeFile: TypeAlias = Callable[[str, AsyncIterator[bytes]], Awaitable[None]]
"""Takes the file of a name; what it leaves of the content is skipped."""


@dataclass(frozen=True, slots=True)
class Body:
    """The fields of a body; its files went elsewhere."""

    fields: Fields


async def read_body(request: Request, *, multipart: bool = True, take: TakeFile | None = None) -> Body:
    """Return the body's fields; a kind that is not understood counts as empty, as it does at NodeODM.

    Args:
        request: Whose body has not been read yet.
        multipart: Whether forms of parts are understood.
        take: Is given each file of such a form, while it arrives; None: files are refused.

    Raises:
        RefusedError: The body is larger than fields can be, is not what it claims to be, or ends half-way.
    """
    kind = _kind(request)
    body = Incoming(request)
    try:
        if kind == FORM and multipart:
            return Body(await _parts(body, boundary_of(request.headers["content-type"]), take))
        if kind == "application/x-www-form-urlencoded":
            text = (await _whole(body)).decode(errors="replace")
            return Body(_first_of_each(_parse_form(text)))
        if kind == "application/json":
            return Body(_parse_json(await _whole(body)))
    except (PermanentError, TransientError):
        await body.skip()
        raise
    await body.skip()
    return Body({})


def is_form(request: Request) -> bool:
    """Return whether a request says that it brings a form of parts."""
    return _kind(request) == FORM


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(slots=True)
class Incoming:
    """The bytes of a request as they arrive."""

    request: Request
    silence_s: float = SILENCE_AT_MOST_S
    _is_over: bool = field(default=False)
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        """Begin to look at the clock."""
        self._pace = Pace(SLOWEST_BYTES_PER_S, self.silence_s)

    async def read(self) -> bytes:
        """Return the next bytes; none: that was all.

        Raises:
            RefusedError: The client went away, fell silent, or sends hardly anything.
        """
        while not self._is_over:
            before_s = time.monotonic()
            try:
                async with asyncio.timeout(self.silence_s):
                    message = await self.request.receive()
            except TimeoutError as error:
                self._is_over = True
                raise RefusedError(f"Nothing arrived for {self.silence_s:g} s.") from error
            self._is_over = not message.get("more_body", False)
            if message["type"] == "http.disconnect":
                raise RefusedError("The connection ended before the body did.")
            chunk = message.get("body", b"")
            self._pace.add(time.monotonic() - before_s, len(chunk))
            if self._pace.is_too_slow and not self._is_over:
                self._is_over = True
                raise RefusedError(f"Less than {SLOWEST_BYTES_PER_S} B/s arrived.")
            if chunk:
                return bytes(chunk)
        return b""

    async def skip(self) -> None:
        """Let the rest pass by, or as much of it as is reasonable."""
        left_bytes, until = SKIPPED_AT_MOST_BYTES, time.monotonic() + SKIPPED_FOR_AT_MOST_S
        try:
            while left_bytes > 0 and time.monotonic() < until and (chunk := await self.read()):
                left_bytes -= len(chunk)
        except RefusedError:
            return


async def _whole(body: Incoming) -> bytes:
    content = bytearray()
    while chunk := await body.read():
        content += chunk
        if len(content) > FIELDS_AT_MOST_BYTES:
            raise RefusedError("The request's fields are too large.")
    return bytes(content)


async def _parts(body: Incoming, boundary: bytes, take: TakeFile | None) -> Fields:
    if not boundary:
        await body.skip()
        return {}
    fields: list[tuple[str, str]] = []
    left_bytes = FIELDS_AT_MOST_BYTES
    async with _Taking(take) as taking:
        async for part in Form(body, boundary).parts():
            if part.file_name is not None:
                await taking.file(part)
                continue
            value = await part.text(left_bytes)
            left_bytes -= len(value)
            fields.append((part.name, value.decode(errors="replace")))
            if len(fields) > FIELDS_AT_MOST:
                raise RefusedError(f"The form has more than {FIELDS_AT_MOST} fields.")
    return _first_of_each(fields)


class _Taking:
    """Hands files on: while the last bytes of some go to the disk, the next one is read.

    Leaving the block waits for all, or stops all when something went wrong.
    """

    def __init__(self, take: TakeFile | None) -> None:
        self._take = take
        self._running: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        try:
            if kind is None:
                await self._settle(0)
        finally:
            for running in self._running:
                running.cancel()
            if self._running:
                await asyncio.wait(self._running)

    async def file(self, part: Part) -> None:
        """Have a file taken, and return when the part behind it can be read."""
        if part.name != UPLOAD_FIELD or self._take is None:
            raise RefusedError("Unexpected field")
        if not part.file_name:  # a browser's form in which no file was chosen
            return
        taking = asyncio.ensure_future(self._take(part.file_name, part.chunks()))
        self._running.add(taking)
        await asyncio.wait([taking, part.ended], return_when=asyncio.FIRST_COMPLETED)
        await self._settle(FILES_AT_ONCE - 1)

    async def _settle(self, left: int) -> None:
        """Wait until no more than ``left`` files are under way, and raise what went wrong with any."""
        while True:
            for done in [running for running in self._running if running.done()]:
                self._running.discard(done)
                done.result()
            if len(self._running) <= left:
                return
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)


def _first_of_each(pairs: list[tuple[str, str]]) -> Fields:
    return dict(reversed(pairs))


def _parse_form(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_AT_MOST)
    except ValueError as error:
        raise RefusedError(f"The form has more than {FIELDS_AT_MOST} fields.") from error


def _parse_json(content: bytes) -> Fields:
    if not content.strip():
        return {}
    try:
        parsed = javascript.parse_json(content)
    except ValueError as error:
        raise RefusedError(f"The body is no JSON: {error}") from error
    return parsed if isinstance(parsed, dict) else {}
