"""What can go wrong on a WebDAV server, by what to do about it.

::

    AlreadyThereError     nothing was written: that name is taken
    ChangedError          it is not any more what was looked at before
    ParentMissingError    the folder that it was to lie in is not there
    RefusedError          401, 403: a person must look
    LockedError           423: later
    FullError             507: later, and nothing more is written meanwhile
"""

from __future__ import annotations

from shared.errors import ConflictError, NotFoundError, PermanentError, TransientError


class AlreadyThereError(ConflictError):
    """Something of that name is there already; it was left as it is."""


class ChangedError(ConflictError):
    """It was replaced since it was looked at; it was left as it is."""


class ParentMissingError(NotFoundError):
    """The folder that it was to lie in is not there."""


class RefusedError(PermanentError):
    """The server does not let us."""

    def __init__(self, message: str, *, is_login: bool = False) -> None:
        super().__init__(message)
        self.is_login = is_login
        """Whether nothing at all will work with this login: every other request will be refused, too."""


class LockedError(TransientError):
    """Somebody works on it just now."""


class FullError(TransientError):
    """The server has no space left, or the user's quota is used up."""
