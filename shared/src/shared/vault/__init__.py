"""Vault (or OpenBao): its key-value secrets, read as a token, an AppRole or a pod.

Importing this imports hvac, which takes a while: it is done where Vault is configured, and nowhere else. hvac
blocks, and all of this does: call it in threads.
"""

from shared.vault.client import Vault
from shared.vault.errors import SecretDeletedError, VaultDeniedError, VaultDownError, VaultRefusedError
from shared.vault.secret import Secret

__all__ = [
    "Secret",
    "SecretDeletedError",
    "Vault",
    "VaultDeniedError",
    "VaultDownError",
    "VaultRefusedError",
]
