"""Values of settings that are kept in Vault: ``vault:mount/path#key``, read while settings are read."""

from __future__ import annotations

import functools
import json
import threading
import time
from dataclasses import dataclass

from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.secrets import resolve
from shared.setting_faults import told_faults
from shared.vault.client import Vault
from shared.vault.secret import Secret
from shared.vault_settings import VaultSettings, is_below

FRESH_S = 30.0
"""For how long what was read, or why it could not be, serves other settings too: they are read in a row."""

_FORM = "expected vault:mount/path#key"


class VaultAccess(VaultSettings, BaseSettings):
    """How we log in to Vault, by the environment alone: it cannot be kept in Vault itself."""

    model_config = SettingsConfigDict(
        env_prefix="FLIGHTLINE_", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _resolve_own(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str) or "SecretStr" not in str(
            cls.model_fields[info.field_name or ""].annotation
        ):
            return value
        if value.startswith("vault:"):
            raise ValueError("what logs in to Vault cannot be kept in it; use file: or env:")
        try:
            return resolve(value)
        except InvalidInputError as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Read:
    """What came of reading a secret."""

    at_s: float
    secret: Secret | None
    fault: str = ""

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.at_s < FRESH_S


class References:
    """Secrets that settings refer to, each read once for all settings that are read in a row."""

    def __init__(self, access: VaultAccess) -> None:
        self._vault = Vault(access)
        self._read: dict[str, _Read] = {}
        self._turn = threading.Lock()

    def secret(self, path: str) -> Secret:
        """Return a secret.

        Raises:
            InvalidInputError: It cannot be read.
        """
        with self._turn:
            read = self._read.get(path)
            if read is None or not read.is_fresh:
                self._read[path] = read = self._asked(path)
        if read.secret is None:
            raise InvalidInputError(read.fault)
        return read.secret

    def _asked(self, path: str) -> _Read:
        try:
            secret = self._vault.read(path)
        except (PermanentError, TransientError) as error:
            return _Read(time.monotonic(), None, str(error))
        return _Read(time.monotonic(), secret, f"Vault at {self._vault.url} has no such secret")


def value_of(target: str) -> str:
    """Return what ``mount/path#key`` refers to; a value that is no text is returned as JSON.

    Raises:
        InvalidInputError: It cannot be read; the message names path, key and settings, and no value.
    """
    path, _, key = target.partition("#")
    path = path.strip("/")
    if not key or "/" not in path or not is_below(path):
        raise InvalidInputError(f"is no reference to a secret of Vault: {_FORM}")
    try:
        values = _references(_access()).secret(path).values
    except InvalidInputError as error:
        raise InvalidInputError(
            f"refers to {path} in Vault, which cannot be read (see FLIGHTLINE_VAULT_*): {error}"
        ) from None
    if values.get(key) is None:
        there = ", ".join(sorted(values)) or "none"
        raise InvalidInputError(
            f"refers to the key {key} of {path} in Vault, which has no such key (has: {there})"
        )
    value = values[key]
    return value if isinstance(value, str) else json.dumps(value)


@functools.lru_cache(maxsize=1)
def _references(access: VaultAccess) -> References:
    return References(access)


def _access() -> VaultAccess:
    try:
        return VaultAccess()
    except ValidationError as error:
        message = told_faults(VaultAccess, error)
    raise InvalidInputError(message)
