"""Logins of Vault, and how long each is good."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from shared.errors import InvalidInputError
from shared.secrets import resolve
from shared.vault_settings import VaultSettings

RENEW_AT = 2 / 3
"""The part of a lease after which it is renewed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """For how long a token was granted, and since when we have it."""

    granted_s: float = math.inf
    is_renewable: bool = False
    since_s: float = field(default_factory=time.monotonic)

    @property
    def due_in_s(self) -> float:
        """Return in how many seconds it should be renewed; 0: now."""
        return max(0.0, self.since_s + self.granted_s * RENEW_AT - time.monotonic())

    @property
    def age_s(self) -> float:
        """Return how long ago it was granted."""
        return time.monotonic() - self.since_s


def lease(answer: dict[str, Any]) -> Lease:
    """Return the lease that a login, a renewal or a lookup of ourselves answers."""
    block = answer.get("auth") or answer["data"]
    seconds = float(block.get("lease_duration", block.get("ttl", 0)))
    return Lease(seconds or math.inf, bool(block.get("renewable")))


def own_token(settings: VaultSettings) -> str:
    """Return the token that we were given, as its file has it now.

    Raises:
        InvalidInputError: The file cannot be read.
    """
    if settings.vault_token_file:
        return _content(settings.vault_token_file, "FLIGHTLINE_VAULT_TOKEN_FILE")
    return settings.vault_token.get_secret_value() if settings.vault_token else ""


def service_account_token(settings: VaultSettings) -> str:
    """Return the pod's token; the kubelet replaces it from time to time.

    Raises:
        InvalidInputError: The file cannot be read.
    """
    return _content(settings.vault_kubernetes_token_file, "FLIGHTLINE_VAULT_KUBERNETES_TOKEN_FILE")


def _content(path: object, setting: str) -> str:
    try:
        return resolve(f"file:{path}").strip()
    except InvalidInputError as error:
        raise InvalidInputError(f"{setting} {error}", field=setting) from error
