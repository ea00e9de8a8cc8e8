"""One request through hvac, and what came of it, as a value: its exceptions hold whole answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hvac.exceptions import VaultError
from requests import exceptions

from shared.vault.errors import DOWN, VaultDeniedError, VaultDownError, VaultRefusedError, reasons
from shared.vault.session import UnfitAnswerError, VaultSession

_DENIED = (401, 403)
_MISSING = 404
_NOT_YET = 412
"""What a standby answers whose data is behind."""

_CLIENTS_FAULT, _SERVERS_FAULT = 400, 500
_CA_FILE = "FLIGHTLINE_VAULT_CA_FILE"
_UNREACHED: tuple[tuple[type[Exception], str, bool], ...] = (
    (exceptions.SSLError, f"its certificate cannot be trusted; {_CA_FILE} names who signed it", True),
    (exceptions.Timeout, "it did not answer in time", False),
    (exceptions.ConnectionError, "it cannot be reached", False),
    (exceptions.TooManyRedirects, "it redirects in circles", True),
)
"""What fails before an answer is there, and whether that lasts until somebody changes something."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request that failed: with a status of Vault's, or 0 where none came."""

    status: int
    text: str
    is_missing: bool = False
    """Whether there is nothing; a path that is not mounted is another thing, and Vault says so."""
    is_for_good: bool = False
    doing: str = ""
    """What was tried, if it is not what the caller wanted, such as a login before that."""

    @property
    def is_denied(self) -> bool:
        """Return whether Vault does not know us, or does not let us."""
        return self.status in _DENIED

    @property
    def is_about_request(self) -> bool:
        """Return whether Vault is fine and knows us, and this alone is refused."""
        return _CLIENTS_FAULT <= self.status < _SERVERS_FAULT and self.is_for_good and not self.doing

    def error(self, url: str, doing: str) -> Exception:
        """Return what to raise.

        Args:
            url: Where Vault is.
            doing: What was tried, such as ``read kv/webdav``.
        """
        doing = self.doing or doing
        if self.is_denied:
            return VaultDeniedError(f"Vault at {url} does not let us {doing}: {self.text}")
        if self.is_for_good:
            return VaultRefusedError(f"Vault at {url} did not {doing}: {self.text}")
        return VaultDownError(f"Vault at {url} did not {doing}: {self.text}")


def attempt(
    session: VaultSession, ask: Callable[[], Any], secrets: Iterable[str]
) -> tuple[dict[str, Any], Trouble | None]:
    """Return Vault's answer, or what was in the way.

    Args:
        session: What hvac asks through.
        ask: The call of hvac.
        secrets: What must not be repeated, even if Vault does.
    """
    session.status = 0
    try:
        answer = ask()
    except VaultError as error:
        if session.status == _MISSING and _has_data(error.json):
            return error.json, None  # a version that was destroyed: hvac lets only deleted ones through
        return {}, _refusal(session.status, reasons(error.errors, secrets))
    except (exceptions.RequestException, OSError) as error:
        return {}, _unreached(error)
    except (AttributeError, LookupError, TypeError, ValueError):
        return {}, _stranger(session.status)  # hvac takes the form of answers for granted
    if isinstance(answer, dict):
        return answer, None
    return {}, _stranger(session.status)


def _has_data(body: object) -> bool:
    return isinstance(body, dict) and isinstance(body.get("data"), dict)


def _refusal(status: int, said: str) -> Trouble:
    text = f"it {DOWN[status]}" if status in DOWN else f"status {status}"
    for_good = _CLIENTS_FAULT <= status < _SERVERS_FAULT and status not in DOWN and status != _NOT_YET
    is_missing = status == _MISSING and not said
    return Trouble(status, f"{text} ({said})" if said else text, is_missing, for_good)


def _unreached(error: Exception) -> Trouble:
    if isinstance(error, UnfitAnswerError):
        return Trouble(0, str(error), is_for_good=True)
    for kind, text, for_good in _UNREACHED:
        if isinstance(error, kind):
            return Trouble(0, text, is_for_good=for_good)
    return Trouble(0, f"the request failed ({type(error).__name__})")


def _stranger(status: int) -> Trouble:
    return Trouble(0, f"what answers there is no Vault (status {status}, not its JSON)")
