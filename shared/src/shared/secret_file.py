"""Secrets that are made once and kept in a file of the owner alone: enough for services of one host."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from shared.errors import InvalidInputError

SECRET_BYTES = 32


def kept_secret(path: Path, *, setting: str) -> str:
    """Return the secret in a file, which is made if it is not there; whoever is first decides what it is.

    For a thread: it touches the disk.

    Args:
        path: The file.
        setting: The environment variable that can hold the secret instead, for the message of an error.

    Raises:
        InvalidInputError: The file can neither be read nor made.
    """
    try:
        return _read(path) or _made(path)
    except OSError as error:
        raise InvalidInputError(
            f"{path} can neither be read nor made ({error.strerror}); set {setting}", field=setting
        ) from error


def _read(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    return ""


def _made(path: Path) -> str:
    """Make the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(mine, path)
    finally:
        mine.unlink()
    return path.read_text().strip()
