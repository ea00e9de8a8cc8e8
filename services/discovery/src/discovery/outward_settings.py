"""Settings of whom discovery speaks to: WebODM, a mail server, webhooks."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from discovery.domain.notifications import checked_address
from discovery.domain.projects import Mode
from shared.errors import InvalidInputError
from shared.settings import Duration, Port
from shared.source_settings import is_loopback


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username
        or not value.isprintable()
    ):
        raise ValueError(
            "expected a URL that begins with http:// or https:// and a host, without a user name"
        )
    return value.rstrip("/")


def _secret_url(value: SecretStr) -> SecretStr:
    _http_url(value.get_secret_value())
    return value


def _address(value: str) -> str:
    try:
        return checked_address(value)
    except InvalidInputError as error:
        raise ValueError(str(error)) from error


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Address = Annotated[str, AfterValidator(_address)]


class OutwardSettings(BaseModel):
    """What of the service's settings is about others."""

    webodm_mode: Annotated[
        Mode,
        Field(
            description="`none`: projects are our own records; `pipeline`: WebODM gets a project per flight"
            " and imports the products; `webodm`: it gets the images and processes them itself."
        ),
    ] = "none"
    webodm_url: Annotated[
        HttpUrl | None, Field(description="Address of WebODM, such as `https://webodm.example.org`.")
    ] = None
    webodm_username: Annotated[str, Field(description="WebODM account that owns the projects.")] = ""
    webodm_password: Annotated[SecretStr | None, Field(description="Its password.")] = None
    webodm_check_every: Annotated[
        Duration, Field(description="How often it is looked whether a project is still at WebODM.")
    ] = timedelta(hours=1)
    gateway_url: Annotated[
        HttpUrl | None,
        Field(
            description="Where WebODM reaches an odm-gateway that asks for no token: products are imported"
            " from there if the object store has no URLs."
        ),
    ] = None
    smtp_host: Annotated[
        str | None, Field(description="Mail server that notifications are sent by; none: no e-mail.")
    ] = None
    smtp_port: Annotated[Port, Field(description="Its port.")] = 587
    smtp_security: Annotated[
        str,
        Field(
            pattern="^(starttls|tls|none)$",
            description="`starttls`; `tls` from the first byte, usually on port 465; `none`: in the clear.",
        ),
    ] = "starttls"
    smtp_username: Annotated[str, Field(description="Login at the mail server; empty: none.")] = ""
    smtp_password: Annotated[SecretStr | None, Field(description="Password at the mail server.")] = None
    smtp_from: Annotated[Address | None, Field(description="Who notifications are from.")] = None
    notify_email: Annotated[
        Address | None, Field(description="Who is told of every flight, besides its owner.")
    ] = None
    notify_webhook: Annotated[
        Annotated[SecretStr, AfterValidator(_secret_url)] | None,
        Field(description="URL that is told of every flight; it may be a private address."),
    ] = None
    webhook_secret: Annotated[
        SecretStr | None,
        Field(description="Signs what webhooks are sent, as `X-Flightline-Signature: sha256=…` (HMAC)."),
    ] = None
    allow_private_urls: Annotated[
        bool,
        Field(description="Whether webhooks that users name may lie on loopback and private addresses."),
    ] = False

    @model_validator(mode="after")
    def _whole_webodm(self) -> Self:
        if self.webodm_mode != "none" and not (
            self.webodm_url and self.webodm_username and self.webodm_password
        ):
            raise ValueError(
                f"DISCOVERY_WEBODM_MODE={self.webodm_mode} needs DISCOVERY_WEBODM_URL,"
                " DISCOVERY_WEBODM_USERNAME and DISCOVERY_WEBODM_PASSWORD"
            )
        return self

    @model_validator(mode="after")
    def _whole_smtp(self) -> Self:
        if self.smtp_host and not self.smtp_from:
            raise ValueError("DISCOVERY_SMTP_HOST needs DISCOVERY_SMTP_FROM: say who the e-mail is from")
        if self.notify_email and not self.smtp_host:
            raise ValueError("DISCOVERY_NOTIFY_EMAIL needs DISCOVERY_SMTP_HOST: say who sends the e-mail")
        if self.smtp_username and self.smtp_password is None:
            raise ValueError("DISCOVERY_SMTP_USERNAME needs DISCOVERY_SMTP_PASSWORD")
        if self.smtp_username and self.smtp_security == "none" and not is_loopback(self.smtp_host or ""):
            raise ValueError("the password would travel in the clear: set DISCOVERY_SMTP_SECURITY=starttls")
        return self
