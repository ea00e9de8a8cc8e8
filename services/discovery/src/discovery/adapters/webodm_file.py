"""One file as the body of a form, streamed, with a length that is known before."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from shared.errors import InvalidInputError, TransientError

FIELD = "images"
FILE_NAME_AT_MOST_BYTES = 255
_REFUSED = frozenset('/\\"&')
"""WebODM would take these for folders, quotes and entities, and keep the file under another name."""


@dataclass(slots=True)
class FileBody:
    """The body; it can be sent once.

    Without a length WebODM's server would take a body for empty, so the form is put together here.
    """

    name: str
    size_bytes: int
    chunks: AsyncIterator[bytes]
    fault: BaseException | None = None
    """What the chunks raised, or what is wrong with them."""
    _boundary: str = field(default_factory=lambda: f"flightline-{secrets.token_hex(16)}")

    def __post_init__(self) -> None:
        checked_file_name(self.name)

    @property
    def content_type(self) -> str:
        """The header that says how the body is to be read."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def length_bytes(self) -> int:
        """How long the whole body is."""
        return len(self._head()) + self.size_bytes + len(self._tail())

    async def stream(self, moved: Callable[[], None]) -> AsyncIterator[bytes]:
        """Yield the body, calling ``moved`` whenever some of it has gone.

        Raises:
            TransientError: There were fewer or more bytes than ``size_bytes``.
        """
        try:
            yield self._head()
            async for chunk in self._exactly():
                moved()
                yield chunk
            yield self._tail()
            moved()
        except Exception as error:
            self.fault = error
            raise

    async def _exactly(self) -> AsyncIterator[bytes]:
        left_bytes = self.size_bytes
        async for chunk in self.chunks:
            left_bytes -= len(chunk)
            if left_bytes < 0:
                break
            yield chunk
        if left_bytes:
            what = "more" if left_bytes < 0 else "fewer"
            raise TransientError(
                f"{self.name} has {what} than the {self.size_bytes} bytes that were expected"
            )

    def _head(self) -> bytes:
        return (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{FIELD}"; filename="{self.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()

    def _tail(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode()


def checked_file_name(name: str) -> str:
    """Return ``name`` if WebODM keeps a file under it.

    Raises:
        InvalidInputError: It would be kept under another name, or not at all.
    """
    is_kept = name.isprintable() and name.strip() == name and not _REFUSED.intersection(name)
    if not is_kept or name in ("", ".", "..") or len(name.encode()) > FILE_NAME_AT_MOST_BYTES:
        raise InvalidInputError("WebODM would not keep a file under this name", field="name", value=name)
    return name
