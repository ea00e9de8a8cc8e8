"""What discovery has of Tapis where a tenant is known: logins, flights, and where browsers come back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from discovery.domain.logins import OAuthState
from discovery.domain.principals import origin_of
from discovery.tapis_flights import TapisFlights
from shared.state import Collection

if TYPE_CHECKING:  # heavy, and needed only where a tenant is known
    from discovery.adapters.tapis_logins import Logins

OAUTH_PATH = "/api/oauth2/tapis"
CALLBACK_PATH = f"{OAUTH_PATH}/callback/"
STATUS_PATH = f"{OAUTH_PATH}/status/"


@dataclass(frozen=True, slots=True)
class TapisAccess:
    """A tenant, as discovery uses it."""

    logins: Logins
    flights: TapisFlights
    states: Collection[OAuthState]
    public_url: str
    """Where browsers reach us."""
    origins: frozenset[str]
    """Where browsers may be sent after a login."""

    @property
    def client_id(self) -> str | None:
        """Return the id of the application that users log in to."""
        return self.logins.client.client_id if self.logins.client else None

    @property
    def callback_url(self) -> str:
        """Return where Tapis sends browsers back to; the OAuth2 client is registered with it."""
        return f"{self.public_url}{CALLBACK_PATH}"

    @property
    def is_secure(self) -> bool:
        """Return whether cookies may only travel encrypted."""
        return self.public_url.startswith("https://")


def authorize_url(public_url: str, client_id: str | None) -> str:
    """Return where a browser begins a login."""
    return f"{public_url}{OAUTH_PATH}/authorize/{client_id or ''}/"


def trusted_origins(public_url: str, allowed: tuple[str, ...]) -> frozenset[str]:
    """Return where browsers may be sent after a login."""
    return frozenset({origin_of(public_url), *allowed})
