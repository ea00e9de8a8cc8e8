"""Fields of requests, found wrong in the words that clients know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from datalab.domain.sessions import NAME_AT_MOST_CHARACTERS
from datalab.wire.errors import at_fault

REQUIRED = "This field is required."
NULL = "This field may not be null."
SHOWN_AT_MOST_CHARACTERS = 200
FAULTS_SHOWN = 20

T = TypeVar("T")


class WrongError(ValueError):
    """A value is not as its field wants it."""


def field(fields: Mapping[str, Any], name: str, check: Callable[[Any], T]) -> T:
    """Return a field that must be there.

    Raises:
        RefusedError: It is not, or is wrong.
    """
    if name not in fields:
        raise at_fault({name: [REQUIRED]})
    return _checked(name, fields[name], check)


def optional(fields: Mapping[str, Any], name: str, check: Callable[[Any], T]) -> T | None:
    """Return a field, or None where it is not there.

    Raises:
        RefusedError: It is wrong.
    """
    return _checked(name, fields[name], check) if name in fields else None


def _checked(name: str, value: Any, check: Callable[[Any], T]) -> T:
    if value is None:
        raise at_fault({name: [NULL]})
    try:
        return check(value)
    except WrongError as error:
        raise at_fault({name: [str(error)]}) from error


def text(value: Any, at_most: int = NAME_AT_MOST_CHARACTERS) -> str:
    """Return a line of text without blanks around it."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongError("Not a valid string.")
    found = str(value).strip()
    if not found:
        raise WrongError("This field may not be blank.")
    if len(found) > at_most:
        raise WrongError(f"Ensure this field has no more than {at_most} characters.")
    if "\x00" in found:
        raise WrongError("Null characters are not allowed.")
    return found


def secret(value: Any) -> str:
    """Return a password as it was sent."""
    if not isinstance(value, str):
        raise WrongError("Not a valid string.")
    if not value:
        raise WrongError("This field may not be blank.")
    return value


def items(value: Any) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list):
        raise WrongError(f'Expected a list of items but got type "{type(value).__name__}".')
    return value


def mapping(value: Any) -> dict[str, Any]:
    """Return an object."""
    if not isinstance(value, dict):
        raise WrongError(f'Expected a dictionary of items but got type "{type(value).__name__}".')
    return value


def numbers(value: Any) -> list[int]:
    """Return a list of ids."""
    return [number(item) for item in items(value)]


def number(value: Any) -> int:
    """Return an id."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongError("A valid integer is required.")
    return value


def validated(model: type[BaseModel], value: Mapping[str, Any], name: str) -> BaseModel:
    """Return ``value`` as ``model`` has it.

    Raises:
        RefusedError: It is not; ``name`` is the field that the value came in.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise at_fault({name: _messages(error)}) from error


def _messages(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, one['loc']))}: {_message(one['type'], one['msg'])}"[:SHOWN_AT_MOST_CHARACTERS]
        for one in error.errors(include_url=False, include_input=False, include_context=False)[:FAULTS_SHOWN]
    ]


def _message(kind: str, message: str) -> str:
    return REQUIRED if kind == "missing" else message.removeprefix("Value error, ")
