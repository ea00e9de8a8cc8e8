"""What S3 servers answer, in terms of what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as ConnectionFailure,
)

from shared.errors import NotFoundError, PermanentError, StorageFullError, TransientError

_NETWORK = (HTTPClientError, ConnectionFailure, IncompleteReadError, ResponseStreamingError)
_FULL = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "StorageQuotaExceeded"}
_BUSY = {"RequestTimeout", "SlowDown", "OperationAborted", "ConditionalRequestConflict", "Throttling"}
_INSUFFICIENT_STORAGE = 507
_MAY_PASS = (412, 429)


def code_of(error: ClientError) -> str:
    """Return the server's error code, such as ``NoSuchKey``; for an answer without a body, the status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """Return the HTTP status of the answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def s3_errors(where: str) -> Iterator[None]:
    """Translate what goes wrong with the object or bucket ``where``."""
    try:
        yield
    except ClientError as error:
        raise _meaning(error, where) from error
    except (*_NETWORK, aiohttp.ClientError, TimeoutError) as error:
        raise TransientError(f"{where}: the S3 server is out of reach: {error}") from error
    except BotoCoreError as error:
        raise PermanentError(f"{where}: {error}") from error


def _meaning(error: ClientError, where: str) -> Exception:
    code, status = code_of(error), status_of(error)
    if code == "NoSuchBucket":
        return PermanentError(f"{where}: there is no such bucket; make it, or correct the URL of the store")
    if status == 404:  # noqa: PLR2004 - HTTP
        return NotFoundError(f"there is no object {where}")
    if status in (401, 403):
        return PermanentError(
            f"{where}: the S3 server refused us ({code}); check access key, secret key, region and the"
            " bucket's policy"
        )
    if code in _FULL or status == _INSUFFICIENT_STORAGE:
        return StorageFullError(f"{where}: the S3 server has no space left ({code or status})")
    if status >= 500 or status in _MAY_PASS or code in _BUSY:  # noqa: PLR2004 - HTTP
        why = code or status
        return TransientError(f"{where}: the S3 server is busy or broken, or somebody was faster ({why})")
    return PermanentError(f"{where}: the S3 server answered: {error}")
