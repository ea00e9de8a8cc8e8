"""Bodies that are hashed once, and the signature that trusts their hash.

botocore signs a body with a SHA-256 that it computes itself, on the event loop, although ours is known by
then: a second look at every byte, during which nothing is sent. The hash goes out as ``x-amz-content-sha256``
as ever; a server that keeps S3's protocol refuses a body that does not have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from botocore.auth import AUTH_TYPE_MAPS, S3SigV4Auth
from typing_extensions import override

SENT_AT_ONCE_BYTES = 1 << 20
UNANNOUNCED_BYTES = 128 << 10
"""Up to here, sending is cheaper than asking the server first (``Expect: 100-continue``)."""
_REPLACED = ("v4", "s3v4")
"""What botocore calls S3's ordinary signature; presigned, anonymous and other signatures stay as they are."""
_SIGNATURE = "s3v4-hashed-body"


class HashedBody:
    """Content in pieces, and its SHA-256; botocore takes it for a file, aiohttp for a stream."""

    def __init__(self, pieces: Sequence[memoryview], sha256: str) -> None:
        self.sha256 = sha256
        self.pieces = pieces
        self._size_bytes = sum(map(len, pieces))
        self._joined: memoryview | None = None
        self._position = 0

    def __len__(self) -> int:
        return self._size_bytes

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        sent_bytes = 0
        for piece in self.pieces:
            for start in range(0, len(piece), SENT_AT_ONCE_BYTES):
                part = piece[start : start + SENT_AT_ONCE_BYTES]
                yield part
                sent_bytes += len(part)
                if sent_bytes >= SENT_AT_ONCE_BYTES:
                    sent_bytes = 0
                    # a fast server never makes us wait, and others want the loop as well
                    await asyncio.sleep(0)

    def read(self, size: int = -1) -> memoryview:
        """Return the next ``size`` bytes, or all that are left; only this puts the pieces together."""
        if self._joined is None:
            self._joined = self.pieces[0] if len(self.pieces) == 1 else memoryview(b"".join(self.pieces))
        start, end = self._position, None if size < 0 else self._position + size
        part = self._joined[start:end]
        self._position += len(part)
        return part

    def seek(self, position: int) -> int:
        """Go to ``position``; botocore goes to 0 before it repeats a request."""
        self._position = position
        return position

    def tell(self) -> int:
        """Return where ``read`` goes on."""
        return self._position


class _HashedBodyAuth(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    @override
    def payload(self, request: Any) -> str:
        # Not ``request.body``, which prepares the whole request each time that it is asked for.
        return request.data.sha256 if isinstance(request.data, HashedBody) else super().payload(request)


AUTH_TYPE_MAPS[_SIGNATURE] = _HashedBodyAuth  # changes nothing for clients that do not choose it


def sign_hashed_bodies(client: Any) -> None:
    """Let ``client`` sign with the hash that a ``HashedBody`` brings along."""
    for operation in ("PutObject", "UploadPart"):
        client.meta.events.register_first(f"choose-signer.s3.{operation}", _signature)
        client.meta.events.register(f"before-sign.s3.{operation}", _do_not_announce)


def _signature(signature_version: object, **_: object) -> str | None:
    return _SIGNATURE if signature_version in _REPLACED else None


def _do_not_announce(request: Any, **_: object) -> None:
    if isinstance(request.data, HashedBody) and len(request.data) <= UNANNOUNCED_BYTES:
        del request.headers["Expect"]
