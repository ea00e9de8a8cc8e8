"""Vault's key-value secrets, read with hvac. Every method blocks: call it in a thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.vault.identity import Identity
from shared.vault.secret import Secret, v1_secret, v2_secret
from shared.vault_settings import VaultSettings

_KEEP_AT_LEAST_S = 1.0
"""However short leases are, they are not renewed more often."""


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a key-value engine is mounted, and which version it has."""

    path: str
    version: int


class Vault:
    """Vault as one identity sees it; any thread may call, one is served at a time."""

    def __init__(self, settings: VaultSettings) -> None:
        self._settings = settings
        self._identity = Identity(settings)
        self._mounts: dict[str, Mount] = {}
        self._turn = threading.Lock()

    @property
    def url(self) -> str:
        """Return where Vault is."""
        return self._identity.url

    def read(self, path: str) -> Secret | None:
        """Return the current version of a secret; None if there was never one.

        Args:
            path: The mount and the path below it, such as ``kv/flightline/webdav``.

        Raises:
            SecretDeletedError: Its current version was deleted or destroyed.
            InvalidInputError: Vault knows us not, does not let us, or is not Vault.
            VaultDownError: It cannot be reached, or is sealed.
        """
        with self._turn:
            mount = self._mount(path)
            rest = path.removeprefix(mount.path).strip("/")
            answer, trouble = self._identity.ask(lambda client: _fetch(client, mount, rest))
        if trouble is None:
            return v1_secret(answer, path) if mount.version == 1 else v2_secret(answer, path)
        if trouble.is_missing:
            return None
        raise trouble.error(self.url, f"read {path}")

    def keep(self) -> float:
        """Renew our login if that is due, and return in how many seconds it is due again.

        Raises:
            InvalidInputError: Vault does not renew it, and we cannot log in again.
            VaultDownError: It cannot be reached, or is sealed.
        """
        with self._turn:
            trouble = self._identity.renew() if self._identity.due_in_s == 0 else None
        if trouble:
            raise trouble.error(self.url, "renew our login")
        return max(self._identity.due_in_s, _KEEP_AT_LEAST_S)

    def close(self) -> None:
        """Close connections; the token lapses by itself."""
        self._identity.close()

    def _mount(self, path: str) -> Mount:
        """Return where the engine of a path is mounted; once Vault has told, it is not asked again."""
        if path in self._mounts:
            return self._mounts[path]
        about = f"/v1/sys/internal/ui/mounts/{quote(path)}"
        answer, trouble = self._identity.ask(lambda client: client.adapter.get(about))
        if trouble is None:
            mount = self._mounts[path] = self._told_mount(answer.get("data"), path)
            return mount
        if trouble.is_about_request:
            return Mount(_first(path), self._version("2"))  # older ones, and some policies, do not tell
        raise trouble.error(self.url, f"read {path}")

    def _told_mount(self, data: Any, path: str) -> Mount:
        facts = data if isinstance(data, dict) else {}
        options = facts.get("options")
        version = options.get("version") if isinstance(options, dict) else None
        return Mount(str(facts.get("path") or _first(path)).strip("/"), self._version(version))

    def _version(self, told: object) -> int:
        wanted = self._settings.vault_kv_version
        return int(wanted) if wanted != "auto" else 2 if told == "2" else 1


def _first(path: str) -> str:
    return path.partition("/")[0]


def _fetch(client: Any, mount: Mount, rest: str) -> Any:
    if mount.version == 1:
        return client.secrets.kv.v1.read_secret(rest, mount_point=mount.path)
    return client.secrets.kv.v2.read_secret_version(
        rest, mount_point=mount.path, raise_on_deleted_version=False
    )
