"""Forms with files, read part by part as they arrive: what is in memory does not grow with them."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from odm_gateway.refusals import RefusedError

HEADERS_AT_MOST = 16
HEADER_AT_MOST_BYTES = 8 << 10

_EXTENDED_NAME = re.compile(r"""filename\*\s*=\s*"?(utf-8|iso-8859-1)'[^']*'([^;"\s]+)""", re.IGNORECASE)


class Chunks(Protocol):
    """Where the bytes of a body come from."""

    async def read(self) -> bytes:
        """Return the next bytes; none: that was all."""


def boundary_of(content_type: str) -> bytes:
    """Return what separates a form's parts, or nothing where the header does not say."""
    return parse_options_header(content_type)[1].get(b"boundary", b"")


class Part:
    """A field or a file of a form."""

    def __init__(self, form: Form, name: str, file_name: str | None) -> None:
        self.name = name
        self.file_name = file_name
        """None: it is a field."""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when its last byte was taken."""
        self._form = form

    async def chunks(self) -> AsyncIterator[bytes]:
        """Take its content; only one part's at a time, and before the next part is asked for.

        Raises:
            RefusedError: The body ended within it.
        """
        while (chunk := await self._form.content_of(self)) is not None:
            yield chunk

    async def text(self, at_most_bytes: int) -> bytes:
        """Return a field whole.

        Raises:
            RefusedError: It is longer than ``at_most_bytes``.
        """
        value = bytearray()
        async for chunk in self.chunks():
            value += chunk
            if len(value) > at_most_bytes:
                raise RefusedError("The form's fields are too large.")
        return bytes(value)


@dataclass(frozen=True, slots=True)
class _Content:
    """Bytes of the part that was begun last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class _PartEnd:
    """The part that was begun last is whole."""


class Form:
    """The parts of a body, in their order."""

    def __init__(self, body: Chunks, boundary: bytes) -> None:
        self._body = body
        self._events: deque[Part | _Content | _PartEnd] = deque()
        self._is_empty = True
        self._is_whole = False
        self._headers = _Headers()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_header_field": self._headers.on_name,
                    "on_header_value": self._headers.on_value,
                    "on_header_end": self._headers.on_end,
                    "on_headers_finished": self._on_part,
                    "on_part_data": self._on_data,
                    "on_part_end": lambda: self._events.append(_PartEnd()),
                    "on_end": self._on_whole,
                },
                max_header_count=HEADERS_AT_MOST,
                max_header_size=HEADER_AT_MOST_BYTES,
            )
        except FormParserError as error:
            raise RefusedError(f"The form cannot be read: {error}") from error

    async def parts(self) -> AsyncIterator[Part]:
        """Iterate over the parts; what is left of one is skipped when the next is asked for.

        Raises:
            RefusedError: The body is no form, or ended before its end.
        """
        while (event := await self._next()) is not None:
            if isinstance(event, Part):
                yield event

    async def content_of(self, part: Part) -> bytes | None:
        """Return the next bytes of a part, or None at its end."""
        if part.ended.done():
            return None
        event = await self._next()
        if isinstance(event, _Content):
            return event.data
        part.ended.set_result(None)
        return None

    async def _next(self) -> Part | _Content | _PartEnd | None:
        while not self._events:
            if not (chunk := await self._body.read()):
                if self._is_whole or self._is_empty:
                    return None
                raise RefusedError("The form ended before its end.")
            self._is_empty = False
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise RefusedError(f"The form cannot be read: {error}") from error
        return self._events.popleft()

    def _on_part(self) -> None:
        options = self._headers.disposition()
        name = _text(options.get(b"name", b""))
        self._events.append(Part(self, name, self._headers.file_name(options)))
        self._headers.clear()

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(_Content(data if end - start == len(data) else data[start:end]))

    def _on_whole(self) -> None:
        self._is_whole = True


class _Headers:
    """The headers of the part that begins; how long and how many they may be is the parser's business."""

    def __init__(self) -> None:
        self._name = bytearray()
        self._value = bytearray()
        self._disposition = ""

    def on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_end(self) -> None:
        if self._name.strip().lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def clear(self) -> None:
        self._disposition = ""

    def disposition(self) -> dict[bytes, bytes]:
        return parse_options_header(self._disposition)[1]

    def file_name(self, options: dict[bytes, bytes]) -> str | None:
        """Return the file's name; old clients send one that is not ASCII in its extended form only."""
        if extended := _EXTENDED_NAME.search(self._disposition):
            return unquote_to_bytes(extended[2]).decode(extended[1], errors="replace")
        plain = options.get(b"filename")
        return None if plain is None else _text(plain)


def _text(value: bytes) -> str:
    """Return UTF-8, as clients send it, or else Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
