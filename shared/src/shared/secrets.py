"""References to secrets, resolved once, when the settings are read."""

from __future__ import annotations

import os
from pathlib import Path

from shared.errors import InvalidInputError

SECRET_AT_MOST_BYTES = 64 << 10


def resolve(value: str) -> str:
    """Return what ``env:NAME``, ``file:/path`` or ``vault:mount/path#key`` refers to; else what is given.

    A file's last line break is no part of the secret. ``file://host/…`` is a URL, not a reference. Vault is
    found by ``FLIGHTLINE_VAULT_*`` and asked while the caller waits, as settings are read only once.

    Raises:
        InvalidInputError: The variable is not set, or the file or Vault cannot be read.
    """
    kind, _, target = value.partition(":")
    match kind:
        case "env":
            return _from_environment(target)
        case "file" if not target.startswith("//"):
            return _from_file(Path(target).expanduser())
        case "vault":
            return _from_vault(target)
        case _:
            return value


def _from_environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise InvalidInputError(f"refers to the environment variable {name}, which is not set") from None


def _from_vault(target: str) -> str:
    try:
        from shared.vault.references import value_of  # noqa: PLC0415 - hvac takes a while to import
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            f"refers to Vault, for which {error.name} is missing: install shared[vault]"
        ) from None
    return value_of(target)


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_AT_MOST_BYTES + 1)
        text = content.decode()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInputError(f"refers to the file {path}, which cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"refers to the file {path}, which is not UTF-8 text") from error
    if len(content) > SECRET_AT_MOST_BYTES:
        raise InvalidInputError(
            f"refers to the file {path}, which is larger than {SECRET_AT_MOST_BYTES} bytes"
        )
    return text.removesuffix("\n").removesuffix("\r")
