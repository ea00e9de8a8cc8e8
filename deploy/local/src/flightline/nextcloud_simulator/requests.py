"""One request: what is asked, of which path, and its body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from typing_extensions import override

from flightline.nextcloud_simulator.answers import RefusedError
from flightline.nextcloud_simulator.names import decoded

Environ = dict[str, Any]

_BLOCK_BYTES = 256 << 10
_MOST_XML_BYTES = 1 << 20


class Headers(Mapping[str, str]):
    """The headers of a WSGI request by their names."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    @override
    def __getitem__(self, name: str) -> str:
        key = name.upper().replace("-", "_")
        value = self._environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
        if value is None:
            raise KeyError(name)
        return str(value)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(
            name.removeprefix("HTTP_").replace("_", "-").title()
            for name in self._environ
            if name.startswith("HTTP_")
        )

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass
class Request:
    """A request as the routes see it."""

    environ: Environ

    @property
    def method(self) -> str:
        """Return the method."""
        return str(self.environ["REQUEST_METHOD"])

    @cached_property
    def path(self) -> str:
        """Return the address's path, decoded."""
        return decoded(self.environ["PATH_INFO"])

    @cached_property
    def headers(self) -> Headers:
        """Return the headers."""
        return Headers(self.environ)

    @property
    def length(self) -> int | None:
        """Return how long the body says it is; none if it comes in chunks."""
        text = self.headers.get("Content-Length", "")
        if text.isdecimal():
            return int(text)
        return None if "Transfer-Encoding" in self.headers else 0

    def blocks(self) -> Iterator[bytes]:
        """Yield the body, which may end early."""
        left = self.length
        stream = self.environ["wsgi.input"]
        while left is None or left > 0:
            block = stream.read(_BLOCK_BYTES if left is None else min(left, _BLOCK_BYTES))
            if not block:
                return
            left = None if left is None else left - len(block)
            yield block

    def body(self) -> bytes:
        """Return a body of XML or JSON.

        Raises:
            RefusedError: It is far too long.
        """
        parts, size_bytes = [], 0
        for block in self.blocks():
            parts.append(block)
            size_bytes += len(block)
            if size_bytes > _MOST_XML_BYTES:
                raise RefusedError(413, "Request entity too large")
        return b"".join(parts)
