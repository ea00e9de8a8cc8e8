"""Who we are to Vault: a login that is kept, renewed, and made anew when it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import hvac

from shared.errors import InvalidInputError
from shared.vault.attempt import Trouble, attempt
from shared.vault.login import Lease, lease, own_token, service_account_token
from shared.vault.session import VaultSession
from shared.vault_settings import VaultSettings

LOGIN_AGAIN_AFTER_S = 1.0
"""A login that is younger is not the reason why something is refused."""

Ask = Callable[[Any], Any]
Outcome = tuple[dict[str, Any], Trouble | None]


class Identity:
    """A client of Vault that is logged in whenever it asks. For one thread at a time."""

    def __init__(self, settings: VaultSettings) -> None:
        if settings.vault_url is None:
            raise InvalidInputError("FLIGHTLINE_VAULT_URL is not set", field="FLIGHTLINE_VAULT_URL")
        if settings.vault_ca_file and not settings.vault_ca_file.is_file():
            raise InvalidInputError(f"FLIGHTLINE_VAULT_CA_FILE: there is no file {settings.vault_ca_file}")
        self.url = settings.vault_url
        self._settings = settings
        self._lease: Lease | None = None
        self._first_s = 0.0
        self._pod_token = ""
        timeout_s = settings.vault_timeout.total_seconds()
        self._session = VaultSession(self.url, timeout_s=timeout_s, ca_file=settings.vault_ca_file)
        self._hvac = hvac.Client(
            url=self.url,
            token="",  # else hvac takes VAULT_TOKEN or ~/.vault-token
            verify=self._session.verify,
            timeout=timeout_s,
            session=self._session,
            namespace=settings.vault_namespace,
        )

    @property
    def due_in_s(self) -> float:
        """Return in how many seconds the login should be renewed; 0: now, or there is none yet."""
        return self._lease.due_in_s if self._lease else 0.0

    def ask(self, ask: Ask) -> Outcome:
        """Return what Vault answers to ``ask``; logged in before that, and once more if it is denied.

        Raises:
            InvalidInputError: A file that belongs to the login cannot be read.
        """
        trouble = self._ready()
        if trouble:
            return {}, trouble
        answer, trouble = self._attempt(ask)
        if trouble and trouble.is_denied and self._may_log_in_again():
            trouble = self._log_in_again()
            if trouble is None:
                return self._attempt(ask)
        return answer, trouble

    def renew(self) -> Trouble | None:
        """Renew the login, or log in anew where that is not enough; return what is in the way.

        Raises:
            InvalidInputError: A file that belongs to the login cannot be read.
        """
        if self._lease and self._lease.is_renewable and self._settings.vault_login != "kubernetes":
            answer, trouble = self._attempt(lambda client: client.auth.token.renew_self())
            if trouble is None and self._is_enough(renewed := lease(answer)):
                self._lease = renewed
                return None
        return self._log_in()

    def close(self) -> None:
        """Close connections; the token lapses by itself."""
        self._session.close()

    def _ready(self) -> Trouble | None:
        if self._lease is None:
            return self._log_in()
        if self._lease.due_in_s == 0:
            self.renew()  # should that fail, the token may be good for a while yet
        return None

    def _is_enough(self, renewed: Lease) -> bool:
        """Return whether Vault still renews for as long as at first: near the longest TTL it does not."""
        return self._settings.vault_login == "token" or renewed.granted_s * 2 >= self._first_s

    def _may_log_in_again(self) -> bool:
        if self._lease is None or self._settings.vault_login is None:
            return False
        if self._settings.vault_login == "token":
            return bool(own_token(self._settings) != self._hvac.token)
        return self._lease.age_s >= LOGIN_AGAIN_AFTER_S

    def _log_in_again(self) -> Trouble | None:
        """Log in, and give the token back that was refused: they would pile up in Vault."""
        before = self._hvac.token
        trouble = self._log_in()
        if trouble is None and self._settings.vault_login != "token":
            now, self._hvac.token = self._hvac.token, before
            self._attempt(lambda client: client.auth.token.revoke_self())
            self._hvac.token = now
        return trouble

    def _log_in(self) -> Trouble | None:
        method = self._settings.vault_login
        if method is None:
            self._lease = Lease()
            return None
        if method == "token":
            return self._take_token()
        before, self._hvac.token = self._hvac.token, ""
        answer, trouble = self._attempt(self._approle() if method == "approle" else self._kubernetes())
        if trouble:
            self._hvac.token = before
            return replace(trouble, doing=f"log in by {method}")
        self._begin(lease(answer))
        return None

    def _take_token(self) -> Trouble | None:
        """Use the token that we were given; a policy may forbid it to look at itself."""
        self._hvac.token = own_token(self._settings)
        answer, trouble = self._attempt(lambda client: client.auth.token.lookup_self())
        if trouble and not trouble.is_denied:
            return replace(trouble, doing="look at our token")
        found = Lease() if trouble else lease(answer)
        can_change = found.is_renewable or self._settings.vault_token_file is not None
        self._begin(found if can_change else Lease())
        return None

    def _begin(self, granted: Lease) -> None:
        self._lease = granted
        self._first_s = granted.granted_s

    def _approle(self) -> Ask:
        settings = self._settings
        secret_id = settings.vault_secret_id.get_secret_value() if settings.vault_secret_id else None
        mount = settings.vault_auth_mount or "approle"
        return lambda client: client.auth.approle.login(settings.vault_role_id, secret_id, mount_point=mount)

    def _kubernetes(self) -> Ask:
        self._pod_token = token = service_account_token(self._settings)
        mount = self._settings.vault_auth_mount or "kubernetes"
        role = self._settings.vault_kubernetes_role
        return lambda client: client.auth.kubernetes.login(role, token, mount_point=mount)

    def _attempt(self, ask: Ask) -> Outcome:
        return attempt(self._session, lambda: ask(self._hvac), self._secrets())

    def _secrets(self) -> list[str]:
        """Return what we may have sent, so that no message repeats it."""
        secret_id = self._settings.vault_secret_id
        return [
            self._hvac.token or "",
            secret_id.get_secret_value() if secret_id else "",
            self._pod_token,
        ]
