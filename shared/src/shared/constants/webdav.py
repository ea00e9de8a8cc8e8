"""Whose files scaler and mover work on: the secret ``webdav``, and the settings that win over it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from shared.constants.constant import Constant, parse_constant
from shared.dav import DavPlace, nextcloud_files_url
from shared.source_settings import NearUrl
from shared.vault_settings import ConstantsSettings

WEBDAV = "webdav"
_DAV = "/remote.php"
"""Where the WebDAV addresses of a Nextcloud begin, below its root."""


def _text(value: object) -> object:
    """Take a number for its digits: in JSON, a password of digits is easily written as one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class WebdavConstants(BaseModel):
    """A WebDAV server or Nextcloud, and who we are there."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    url: NearUrl | None = None
    host_url: NearUrl | None = None
    username: Annotated[str, BeforeValidator(_text), Field(min_length=1)]
    password: Annotated[SecretStr, BeforeValidator(_text), Field(min_length=1)]

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if not (self.url or self.host_url):
            raise ValueError(
                "neither url nor host_url is there: add one, or set FLIGHTLINE_WEBDAV_URL"
                " or FLIGHTLINE_WEBDAV_HOST_URL"
            )
        return self

    def place(self) -> DavPlace:
        """Return the folder that paths are relative to: ``url``, else the user's files of the Nextcloud."""
        host_url = self.host_url or ""
        own = host_url if _DAV in host_url else nextcloud_files_url(host_url, self.username)
        return DavPlace(self.url or own, self.username, self.password, host_url)


def webdav_constants(settings: ConstantsSettings, constant: Constant | None) -> WebdavConstants | None:
    """Return the login for WebDAV from the secret ``webdav`` and settings; None if neither says anything.

    Raises:
        InvalidInputError: A key is missing or cannot be used; the message has a line for each, and no value.
    """
    own = {
        "url": settings.webdav_url,
        "host_url": settings.webdav_host_url,
        "username": settings.webdav_username,
        "password": settings.webdav_password,
    }
    return parse_constant(WebdavConstants, WEBDAV, constant, own, prefix="FLIGHTLINE_WEBDAV_")
