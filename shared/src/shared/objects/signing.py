"""URLs that a service signs and serves itself, for stores that have no server of their own."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs URLs below ``base_url``, where a service serves the objects."""

    base_url: str
    secret: SecretStr

    def url(self, key: str, expires: timedelta) -> str:
        """Return a URL of ``key`` that ``verify_presigned`` accepts until it expires."""
        until = str(int((datetime.now(UTC) + expires).timestamp()))
        query = urlencode({"expires": until, "signature": _signature(key, until, self.secret)})
        return f"{self.base_url.rstrip('/')}/{quote(key, safe='/')}?{query}"


def verify_presigned(key: str, parameters: Mapping[str, str], secret: SecretStr) -> bool:
    """Return whether the query ``parameters`` of a URL of ``key`` were signed by us and have not expired."""
    expires, signature = parameters.get("expires", ""), parameters.get("signature", "")
    if not (expires.isascii() and expires.isdigit()) or not signature.isascii():
        return False
    genuine = hmac.compare_digest(signature, _signature(key, expires, secret))
    return genuine and datetime.now(UTC).timestamp() < int(expires)


def _signature(key: str, expires: str, secret: SecretStr) -> str:
    message = f"{expires}\n{key}".encode()
    return hmac.new(secret.get_secret_value().encode(), message, hashlib.sha256).hexdigest()
