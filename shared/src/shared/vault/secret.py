"""Secrets of the key-value engine, as its two versions answer them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.constants.constant import values_version
from shared.vault.errors import SecretDeletedError, VaultRefusedError


@dataclass(frozen=True, slots=True)
class Secret:
    """What a secret maps, and a text that changes when that does."""

    values: Mapping[str, object] = field(repr=False)
    version: str


def v1_secret(answer: Mapping[str, Any], path: str) -> Secret:
    """Return the secret of an answer of KV version 1, which counts no versions.

    Raises:
        VaultRefusedError: The answer holds none.
    """
    values = answer.get("data")
    if not isinstance(values, dict):
        raise VaultRefusedError(f"{path}: what Vault answers holds no secret")
    return Secret(values, values_version(values))


def v2_secret(answer: Mapping[str, Any], path: str) -> Secret:
    """Return the secret of an answer of KV version 2.

    Raises:
        SecretDeletedError: This version was deleted or destroyed.
        VaultRefusedError: The answer holds none.
    """
    data = answer.get("data")
    values, metadata = (data.get("data"), data.get("metadata")) if isinstance(data, dict) else (None, None)
    if not isinstance(metadata, dict):
        raise VaultRefusedError(
            f"{path}: what Vault answers is no secret of KV version 2 (see FLIGHTLINE_VAULT_KV_VERSION)"
        )
    version = str(metadata.get("version"))
    if isinstance(values, dict):
        return Secret(values, version)
    if metadata.get("destroyed"):
        raise SecretDeletedError(f"{path}: version {version} was destroyed; write a new one")
    raise SecretDeletedError(
        f"{path}: version {version} was deleted at {metadata.get('deletion_time')};"
        " `vault kv undelete` brings it back"
    )
