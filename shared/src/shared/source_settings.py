"""Settings of the places that flights come from, and of those who may ask for them."""

from __future__ import annotations

import ipaddress
import json
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from shared.errors import InvalidInputError
from shared.secrets import resolve
from shared.sources.flight_files import DEFAULT_RULE, FileRule


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, and known to be without asking for its name."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_within_cluster(host: str) -> bool:
    """Return whether only a container network, a cluster or a private network knows a host."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return bool(host) and ("." not in host or host.endswith((".svc", ".svc.cluster.local", ".internal")))


def _safe_url(value: str) -> str:
    """Return a URL by which logins may travel: https, or http within this machine."""
    parts = urlsplit(value)
    if not parts.hostname or parts.scheme not in ("http", "https") or parts.query or parts.username:
        raise ValueError(
            "expected a URL that begins with https:// and a host, such as https://portals.tapis.io"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("logins would travel in the clear: begin with https://")
    return value.rstrip("/")


def _near_url(value: str) -> str:
    """Return the URL of one of our own services; the network that they share may be trusted with http."""
    parts = urlsplit(value)
    is_plain = parts.scheme == "http" and not (parts.query or parts.username)
    if is_plain and is_within_cluster(parts.hostname or ""):
        return value.rstrip("/")
    return _safe_url(value)


def _logins(value: object) -> object:
    """Read ``{"host": "user:password"}``; each value may be a reference."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError('expected JSON such as {"cloud.example.org": "user:app-password"}') from None
    if not isinstance(value, dict):
        return value
    return {str(host).lower(): _login(host, login) for host, login in value.items()}


def _login(host: object, login: Any) -> SecretStr:
    try:
        text = login.get_secret_value() if isinstance(login, SecretStr) else resolve(str(login))
    except InvalidInputError as error:
        raise ValueError(f"the login for {host} {error}") from error
    if ":" not in text:
        raise ValueError(f"the login for {host} is not of the form user:password")
    return SecretStr(text)


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaTexts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
SafeUrl = Annotated[str, AfterValidator(_safe_url)]
NearUrl = Annotated[str, AfterValidator(_near_url)]


class SourceSettings(BaseModel):
    """What is known of Tapis, WebDAV servers and the web; part of ``PlatformSettings``."""

    tapis_url: SafeUrl | None = Field(
        default=None, description="Base URL of the Tapis tenant, such as `https://portals.tapis.io`."
    )
    tapis_tenant: str | None = Field(default=None, description="Id of the Tapis tenant, such as `portals`.")
    tapis_client_id: str | None = Field(
        default=None, description="Id of the OAuth2 client by which users log in to Tapis."
    )
    tapis_client_key: SecretStr | None = Field(default=None, description="Key of that client.")
    tapis_username: str | None = Field(
        default=None, description="Tapis user that flights of nobody in particular are found and read as."
    )
    tapis_password: SecretStr | None = Field(default=None, description="Password of that user.")
    tapis_systems: str = Field(
        default="ptdatax.project.*",
        min_length=1,
        description="Which Tapis systems hold flights: a pattern with `*` over their ids.",
    )
    discovery_url: NearUrl = Field(
        default="http://127.0.0.1:8001",
        description="Where the other services reach discovery, which keeps the users' logins; `http://` only"
        " on a network of your own, such as `http://discovery:8001`.",
    )
    internal_token: SecretStr | None = Field(
        default=None,
        description="Token by which the services know each other. Without it they share a file in"
        " `FLIGHTLINE_HOME`, which is enough on one host.",
    )
    secrets_key: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="Key that users' logins are sealed with in the database, 32 random characters or more."
        " Without it, on the embedded state, one is made and kept in `FLIGHTLINE_HOME`.",
    )
    dav_logins: Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_logins)] = Field(
        default_factory=dict,
        description='Logins of WebDAV servers by host, as JSON: `{"cloud.example.org": "user:app-password"}`.'
        " Each may be a reference. Such a host may have a private address.",
    )
    allow_private_urls: bool = Field(
        default=False,
        description="Whether flights may be read from `http://`, `dav://` and private addresses, too. Whoever"
        " can name a flight can then reach what this host reaches.",
    )

    image_suffixes: CommaTexts = Field(
        default=DEFAULT_RULE.suffixes,
        min_length=1,
        description="Endings of images' names, any case, with commas between them. All services must have the"
        " same: a flight's version depends on it.",
    )
    sidecars: CommaTexts = Field(
        default=DEFAULT_RULE.sidecars,
        description="Names, or patterns, of files that go along with images, from their folder and the one"
        " above it. All services must have the same.",
    )

    @property
    def file_rule(self) -> FileRule:
        """Return which files belong to a flight."""
        return FileRule(tuple(suffix.lower() for suffix in self.image_suffixes), self.sidecars)

    @model_validator(mode="after")
    def _belonging_together(self) -> Self:
        pairs = (
            ("tapis_url", "tapis_tenant"),
            ("tapis_client_id", "tapis_client_key"),
            ("tapis_username", "tapis_password"),
        )
        for one, other in pairs:
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                names = " and ".join(f"FLIGHTLINE_{name.upper()}" for name in (one, other))
                raise ValueError(f"{names} belong together: set both")
        return self
