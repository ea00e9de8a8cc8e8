"""Names, passwords and tokens that users can have."""

from __future__ import annotations

import re

from shared.errors import InvalidInputError
from shared.passwords import PASSWORD_AT_LEAST_CHARACTERS, PASSWORD_AT_MOST_CHARACTERS

TOKEN_AT_LEAST_CHARACTERS = 16
TOKEN_AT_MOST_CHARACTERS = 4096

_NAME = re.compile(r"[\w.@+-]{1,150}")
_TOKEN = re.compile(r"[\x21-\x7e]+")


def user_name(name: str) -> str:
    """Return ``name`` if a user can have it.

    Raises:
        InvalidInputError: Nobody can.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A user's name is 1 to 150 letters, digits and @ . + - _", field="username", value=name
        )
    return name


def check_password(password: str) -> None:
    """Raise ``InvalidInputError`` unless ``password`` may be chosen."""
    if not PASSWORD_AT_LEAST_CHARACTERS <= len(password) <= PASSWORD_AT_MOST_CHARACTERS:
        raise InvalidInputError(
            f"A password has {PASSWORD_AT_LEAST_CHARACTERS} to {PASSWORD_AT_MOST_CHARACTERS} characters",
            field="password",
        )


def check_token(token: str) -> None:
    """Raise ``InvalidInputError`` unless ``token`` may be somebody's."""
    if not _TOKEN.fullmatch(token) or not (
        TOKEN_AT_LEAST_CHARACTERS <= len(token) <= TOKEN_AT_MOST_CHARACTERS
    ):
        raise InvalidInputError(
            f"A token is {TOKEN_AT_LEAST_CHARACTERS} to {TOKEN_AT_MOST_CHARACTERS} printable ASCII characters"
            " without blanks",
            field="token",
        )
