"""Constants in Vault: one secret each, below a mount or a folder of one."""

from __future__ import annotations

from shared.constants.constant import Constant
from shared.vault import Vault
from shared.vault_settings import VaultSettings


class ConstantsVault:
    """Secrets of Vault's key-value engine, below one path."""

    def __init__(self, settings: VaultSettings, folder: str) -> None:
        self._vault = Vault(settings)
        self._folder = folder
        self.where = f"Vault at {self._vault.url}, {folder}"

    def read(self, name: str) -> Constant | None:
        """Return a secret; None if there was never one.

        Raises:
            NotFoundError: It was deleted.
            InvalidInputError: Vault knows us not, or does not let us.
            TransientError: Vault cannot be reached, or is sealed.
        """
        found = self._vault.read(f"{self._folder}/{name}")
        return (
            found if found is None else Constant(found.values, found.version, f"Vault, {self._folder}/{name}")
        )

    def keep(self) -> float:
        """Renew our login if that is due, and return in how many seconds it is due again.

        Raises:
            InvalidInputError: Vault does not renew it, and we cannot log in again.
            TransientError: Vault cannot be reached, or is sealed.
        """
        return self._vault.keep()

    def close(self) -> None:
        """Close connections."""
        self._vault.close()
