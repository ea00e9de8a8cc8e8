"""A form with one file, read as it arrives: what is in memory does not grow with it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from datalab.wire.errors import RefusedError, at_fault

HEADERS_AT_MOST = 16
HEADER_AT_MOST_BYTES = 8 << 10
SILENCE_AT_MOST_S = 60.0
"""A client that sends nothing for so long has gone."""
SKIPPED_AT_MOST_BYTES = 64 << 20
NO_FILE = "No file was submitted."


@dataclass(frozen=True, slots=True)
class _Part:
    """A part begins."""

    file_name: str | None
    """None: it is a field."""


class FormFile:
    """The file of a request's form; other fields are passed over."""

    def __init__(self, request: Request) -> None:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != b"multipart/form-data":
            raise RefusedError("Send the file as multipart/form-data, in the field `file`.", status=415)
        self._request = request
        self._parsing = _Parsing(options.get(b"boundary", b""))
        self._chunks = aiter(request.stream())

    async def name(self) -> str:
        """Return the file's name; its content comes next.

        Raises:
            RefusedError: There is no file in the form.
        """
        while (event := await self._next()) is not None:
            if isinstance(event, _Part) and event.file_name:
                return event.file_name
        raise at_fault({"file": [NO_FILE]})

    async def content(self) -> AsyncIterator[bytes]:
        """Iterate over the file's bytes.

        Raises:
            RefusedError: The form ends within it, or has another file.
        """
        while isinstance(event := await self._next(), bytes):
            yield event
        while event is not None:
            if isinstance(event, _Part) and event.file_name:
                raise at_fault({"file": ["Send one file at a time."]})
            event = await self._next()

    async def skip(self) -> None:
        """Let the rest pass by, or as much as is reasonable: clients hear an answer only when all is sent."""
        left_bytes = SKIPPED_AT_MOST_BYTES
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(SILENCE_AT_MOST_S):
                async for chunk in self._chunks:
                    left_bytes -= len(chunk)
                    if left_bytes < 0:
                        return

    async def _next(self) -> _Part | bytes | None:
        while not self._parsing.events:
            if self._parsing.is_whole:
                return None
            self._parsing.feed(await self._chunk())
        return self._parsing.events.popleft()

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout(SILENCE_AT_MOST_S):
                return await anext(self._chunks)
        except StopAsyncIteration:
            raise RefusedError("The form ended before its end.") from None
        except TimeoutError:
            raise RefusedError(f"Nothing arrived for {SILENCE_AT_MOST_S:g} s.", status=408) from None
        except ClientDisconnect as error:
            raise RefusedError("The connection ended before the file did.") from error


@dataclass(slots=True)
class _Parsing:
    """What has been read of a form and not yet been looked at."""

    boundary: bytes
    events: deque[_Part | bytes] = field(default_factory=deque)
    is_whole: bool = False
    _header: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    _file_name: str | None = None
    _parser: MultipartParser = field(init=False)

    def __post_init__(self) -> None:
        """Begin before the first part."""
        try:
            self._parser = MultipartParser(
                self.boundary,
                {
                    "on_part_begin": self._on_part,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._on_header,
                    "on_headers_finished": lambda: self.events.append(_Part(self._file_name)),
                    "on_part_data": lambda data, start, end: self.events.append(data[start:end]),
                    "on_end": self._on_end,
                },
                max_header_count=HEADERS_AT_MOST,
                max_header_size=HEADER_AT_MOST_BYTES,
            )
        except FormParserError as error:
            raise RefusedError(f"The form cannot be read: {error}") from error

    def feed(self, chunk: bytes) -> None:
        """Look at what has arrived.

        Raises:
            RefusedError: It is no form.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise RefusedError(f"The form cannot be read: {error}") from error

    def _on_part(self) -> None:
        self._file_name = None

    def _on_header(self) -> None:
        name, value = self._header
        if bytes(name).strip().lower() == b"content-disposition":
            found = parse_options_header(bytes(value))[1].get(b"filename")
            self._file_name = None if found is None else found.decode("utf-8", "replace")
        name.clear()
        value.clear()

    def _on_end(self) -> None:
        self.is_whole = True
