"""Secrets of users at rest: sealed with a key that is not in the database."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import DamagedError, InvalidInputError
from shared.secret_file import kept_secret

if TYPE_CHECKING:
    from shared.settings import PlatformSettings

FILE_NAME = "secrets-key"
KEY_BYTES = 32
NONCE_BYTES = 12
_FORM = "v1."
_PURPOSE = b"flightline/discovery/tapis-logins"


class Sealer:
    """Seals texts by AES-256-GCM, each for one purpose: moved elsewhere in the database it does not open."""

    def __init__(self, secret: str) -> None:
        key = HKDF(SHA256(), KEY_BYTES, salt=None, info=_PURPOSE).derive(secret.encode())
        self._cipher = AESGCM(key)

    def seal(self, text: str, purpose: str) -> str:
        """Return ``text`` as nobody without the key can read it."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, text.encode(), purpose.encode())
        return _FORM + urlsafe_b64encode(sealed).decode()

    def open(self, sealed: str, purpose: str) -> str:
        """Return what was sealed.

        Raises:
            DamagedError: It was sealed with another key, or for something else.
        """
        try:
            data = urlsafe_b64decode(sealed.removeprefix(_FORM))
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], purpose.encode()).decode()
        except (ValueError, InvalidTag):
            raise DamagedError(
                "a Tapis login was sealed with another key: give back the former FLIGHTLINE_SECRETS_KEY, or"
                " log in again"
            ) from None


def secrets_key(settings: PlatformSettings) -> str:
    """Return ``FLIGHTLINE_SECRETS_KEY``, or else one that is made once and kept in a file of the owner alone.

    For a thread: it may touch the disk.

    Raises:
        InvalidInputError: None is set and the state is a server's, or the file cannot be used.
    """
    if settings.secrets_key is not None:
        return settings.secrets_key.get_secret_value()
    if not settings.state.startswith("sqlite:"):
        raise InvalidInputError(
            "Tapis logins are kept in a database, sealed: set FLIGHTLINE_SECRETS_KEY to 32 random characters"
            " or more, the same for all replicas",
            field="FLIGHTLINE_SECRETS_KEY",
        )
    return kept_secret(settings.home / FILE_NAME, setting="FLIGHTLINE_SECRETS_KEY")
