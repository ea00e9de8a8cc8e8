"""The token by which our services know each other, where one asks another for a user's login."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from shared.errors import InvalidInputError

if TYPE_CHECKING:
    from shared.settings import PlatformSettings

FILE_NAME = "internal-token"
TOKEN_BYTES = 32


def internal_token(settings: PlatformSettings) -> SecretStr:
    """Return ``FLIGHTLINE_INTERNAL_TOKEN``, or else one that is made once and kept in a file.

    For a thread: it may touch the disk.

    Raises:
        InvalidInputError: The file can neither be read nor made.
    """
    if settings.internal_token is not None:
        return settings.internal_token
    path = settings.home / FILE_NAME
    try:
        return SecretStr(_read(path) or _made(path))
    except OSError as error:
        raise InvalidInputError(
            f"{path} can neither be read nor made ({error.strerror}); set FLIGHTLINE_INTERNAL_TOKEN"
        ) from error


def _read(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    return ""


def _made(path: Path) -> str:
    """Make the file, whole or not at all; whoever is first decides what is in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(TOKEN_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(mine, path)
    finally:
        mine.unlink()
    return path.read_text().strip()
