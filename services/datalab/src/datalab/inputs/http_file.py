"""The bytes behind a URL, whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING

from datalab.operations.operation import OperationError
from shared.errors import InvalidInputError, StorageFullError, TransientError
from shared.retry_after import read_retry_after
from shared.threads import entered

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

WRITE_BYTES = 1 << 20
_ALONE_AT_MOST = timedelta(hours=1)
_MAY_PASS = frozenset({408, 423, 425, 429})
_MD5_DIGITS = 32


class LinkLapsedError(Exception):
    """The URL does not open the file any more."""


@contextmanager
def answers_told(what: str) -> Iterator[None]:
    """Say in a sentence that ``what`` did not answer.

    Raises:
        TransientError: It may the next time.
        StorageFullError: There is no room for what it answers.
        OperationError: It lies where it may not be asked.
    """
    from aiohttp import ClientError  # noqa: PLC0415 - few processes need it

    try:
        yield
    except InvalidInputError as error:
        raise OperationError(f"{what} cannot be read: {error}") from None
    except (ClientError, TimeoutError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise StorageFullError("No space is left for downloads") from error
        raise TransientError(f"{what} does not answer ({type(error).__name__})") from None


def check_passing(answer: ClientResponse, what: str) -> None:
    """Raise ``TransientError`` for an answer that may be another the next time."""
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _MAY_PASS:
        wait = read_retry_after(answer.headers.get("Retry-After"), _ALONE_AT_MOST)
        raise TransientError(f"{what} answers {answer.status}", retry_after=wait)


async def download(
    session: ClientSession, url: str, to: Path, *, what: str, at_most_bytes: int, md5: str | None
) -> None:
    """Write what is behind ``url`` to a new file.

    Raises:
        LinkLapsedError: The URL opens nothing any more.
        TransientError: It did not come, or not whole.
        OperationError: It is too large, or lies where it may not be read.
    """
    with answers_told(what):
        async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            if answer.status in (401, 403, 404, 410):
                raise LinkLapsedError
            check_passing(answer, what)
            if answer.status != HTTPStatus.OK:
                raise OperationError(f"{what} cannot be read: its server answers {answer.status}")
            if (answer.content_length or 0) > at_most_bytes:
                raise _too_large(what, at_most_bytes)
            found = await _written(answer, to, what, at_most_bytes)
    if md5 and len(md5) == _MD5_DIGITS and found != md5.lower():
        raise TransientError(f"{what} came damaged")


async def _written(answer: ClientResponse, to: Path, what: str, at_most_bytes: int) -> str:
    """Write a body piece by piece; return its MD5, by which archives name content."""
    digest, size_bytes = hashlib.md5(usedforsecurity=False), 0
    with ExitStack() as stack:
        file = await entered(stack, lambda: to.open("xb"))
        async for chunk in answer.content.iter_chunked(WRITE_BYTES):
            size_bytes += len(chunk)
            if size_bytes > at_most_bytes:
                raise _too_large(what, at_most_bytes)
            await asyncio.to_thread(_append, file, digest, chunk)
    expected = answer.content_length
    if expected is not None and size_bytes != expected:
        raise TransientError(f"{what} came with {size_bytes} of {expected} bytes")
    return digest.hexdigest()


def _append(file: IO[bytes], digest: hashlib._Hash, chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)


def _too_large(what: str, at_most_bytes: int) -> OperationError:
    return OperationError(f"{what} is larger than the {at_most_bytes} bytes that are taken here")
