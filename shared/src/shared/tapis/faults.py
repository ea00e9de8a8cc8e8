"""What Tapis answers, in terms of what to do about it; never with a token or a client key in it."""

from __future__ import annotations

import re
from datetime import timedelta

from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.sources.port import SourceForbiddenError

MESSAGE_CHARACTERS = 200
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 400, 401, 403, 404, 429
_MAY_PASS = frozenset({408, 425, 429})
_SERVER_ERROR = 500
_SECRET = re.compile(r"eyJ[\w-]{5,}(\.[\w-]*){0,2}")
"""A JWT; some services repeat what they were sent."""
_NO_CREDENTIALS = re.compile(r"CRED|credential", re.IGNORECASE)
_DISABLED = re.compile(r"NOTENABLED|not enabled|disabled", re.IGNORECASE)


class TapisFault(Exception):  # noqa: N818 - an answer as it came, before it is known whether it is an error
    """An answer that is none of the wanted ones; without a status there was no answer, or half of one."""

    def __init__(self, status: int | None, message: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(told(message))
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def is_unauthorized(self) -> bool:
        """Return whether the token was not accepted."""
        return self.status == _UNAUTHORIZED

    @property
    def is_too_many(self) -> bool:
        """Return whether nothing is wrong but how much is asked."""
        return self.status == _TOO_MANY

    @property
    def asks_for_less(self) -> bool:
        """Return whether fewer requests at a time may help."""
        return self.status in (None, _TOO_MANY, 503, 504)

    @property
    def may_pass(self) -> bool:
        """Return whether the same request may succeed a moment later."""
        if self.status is None or self.status in _MAY_PASS:
            return True
        return self.status >= _SERVER_ERROR and not _NO_CREDENTIALS.search(str(self))

    def meaning(self, where: str) -> Exception:
        """Return the error that it is for somebody who reads from ``where``."""
        if self.may_pass:
            wait = None if self.retry_after_s is None else timedelta(seconds=self.retry_after_s)
            how = f"answered {self.status}" if self.status else "could not be reached"
            return TransientError(f"{where}: Tapis {how} ({self})", retry_after=wait)
        if _NO_CREDENTIALS.search(str(self)):
            return SourceForbiddenError(
                f"{where}: Tapis has no credentials for this system; register them there ({self})"
            )
        if _DISABLED.search(str(self)):
            return SourceForbiddenError(f"{where}: this system is switched off in Tapis ({self})")
        return self._plain_meaning(where)

    def _plain_meaning(self, where: str) -> Exception:
        match self.status:
            case 404:
                return NotFoundError(f"there is no {where} ({self})")
            case 401 | 403:
                return SourceForbiddenError(f"{where} may not be read by this Tapis user ({self})")
            case 400:
                return InvalidInputError(f"{where}: Tapis cannot answer this ({self})", field="source")
            case _:
                return PermanentError(f"{where}: Tapis answered {self.status} ({self})")


def told(message: object) -> str:
    """Return a message of a service, short and without what may be a token."""
    text = (
        message.decode(errors="replace") if isinstance(message, bytes) else str(message or "no reason given")
    )
    return " ".join(_SECRET.sub("[token]", text).split())[:MESSAGE_CHARACTERS]


def retry_after_s(header: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header; its form with a date is not used by Tapis."""
    try:
        seconds = float(header) if header else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None
