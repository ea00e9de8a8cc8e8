"""The token by which our services know each other, where one asks another for a user's login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from shared.secret_file import kept_secret

if TYPE_CHECKING:
    from shared.settings import PlatformSettings

FILE_NAME = "internal-token"


def internal_token(settings: PlatformSettings) -> SecretStr:
    """Return ``FLIGHTLINE_INTERNAL_TOKEN``, or else one that is made once and kept in a file.

    For a thread: it may touch the disk.

    Raises:
        InvalidInputError: The file can neither be read nor made.
    """
    if settings.internal_token is not None:
        return settings.internal_token
    return SecretStr(kept_secret(settings.home / FILE_NAME, setting="FLIGHTLINE_INTERNAL_TOKEN"))
