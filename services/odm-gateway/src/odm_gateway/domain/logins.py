"""Users: which names and passwords there are."""

from __future__ import annotations

import re

from pydantic import AwareDatetime, BaseModel, ConfigDict

from odm_gateway.domain.callers import USER, Caller
from shared.errors import InvalidInputError
from shared.passwords import PASSWORD_AT_LEAST_CHARACTERS, PASSWORD_AT_MOST_CHARACTERS

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?")


class User(BaseModel):
    """Somebody who can log in; the name is the document's."""

    model_config = ConfigDict(frozen=True)

    salt: str
    password_hash: str
    passes: int = 1
    """scrypt's ``p`` when the password was hashed."""
    created_at: AwareDatetime


class Login(BaseModel):
    """A token that was given; its hash is the document's name."""

    model_config = ConfigDict(frozen=True)

    user: str
    expires_at: AwareDatetime


def user_name(raw: str) -> str:
    """Return a user's name in the letters that count.

    Raises:
        InvalidInputError: Nobody can have this name.
    """
    name = raw.strip().lower()
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "username must be 1 to 64 letters, digits or . _ @ + -, with a letter or digit at both ends",
            field="username",
        )
    return name


def check_password(password: str) -> None:
    """Raise ``InvalidInputError`` unless ``password`` may be chosen."""
    if not PASSWORD_AT_LEAST_CHARACTERS <= len(password) <= PASSWORD_AT_MOST_CHARACTERS:
        raise InvalidInputError(
            f"password must have {PASSWORD_AT_LEAST_CHARACTERS} to {PASSWORD_AT_MOST_CHARACTERS} characters",
            field="password",
        )


def caller_of_user(name: str) -> Caller:
    """Return a user as a caller: one that sees its own tasks."""
    return Caller(USER + name)
