"""What can go wrong, by what to do about it.

``PermanentError`` and ``TransientError`` decide what happens to a message; the other kinds say more to a
person or to an HTTP client::

    PermanentError            dead letter now
    ├── InvalidInputError     HTTP 400, names field, value and remedy
    ├── NotFoundError         HTTP 404
    ├── ConflictError         HTTP 409
    └── DamagedError          a file of ours cannot be read; an operator must look
    TransientError            try again on the retry ladder; HTTP 503
    └── StorageFullError      no space left on a device
"""

from __future__ import annotations

from datetime import timedelta


class PermanentError(Exception):
    """Retrying cannot help: bad data, a broken contract, a refused request."""


class InvalidInputError(PermanentError):
    """What was asked for cannot be done as asked; the message says what to change."""

    def __init__(self, message: str, *, field: str | None = None, value: object = None) -> None:
        super().__init__(message)
        self.field = field
        self.value = value


class NotFoundError(PermanentError):
    """There is no such thing."""


class ConflictError(PermanentError):
    """It is there already, or in a state that forbids what was asked."""


class DamagedError(PermanentError):
    """A file of ours cannot be read; it is left as it is for an operator to look at."""


class TransientError(Exception):
    """The same input may succeed later: a timeout, a 503, a lock held elsewhere."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageFullError(TransientError):
    """No space is left on a device; what was written before is safe."""
