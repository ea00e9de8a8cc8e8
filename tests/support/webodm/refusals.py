"""What is answered when something is refused, in the forms that Django REST framework gives it."""

from __future__ import annotations

from typing import Any


class RefusedError(Exception):
    """A status and a JSON body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def invalid(text: str) -> RefusedError:
    """Return a refusal of the whole request: its body is a list."""
    return RefusedError(400, [text])


def invalid_field(field: str, text: str) -> RefusedError:
    """Return a refusal of one field."""
    return RefusedError(400, {field: [text]})


def not_found(text: str = "Not found.") -> RefusedError:
    """Return what is said of things that are not there, and of those that the user may not know of."""
    return RefusedError(404, {"detail": text})


def forbidden() -> RefusedError:
    """Return what is said to users who may not do that to anything."""
    return RefusedError(403, {"detail": "You do not have permission to perform this action."})
