"""What a source may be called: flights, events and logs show it to everybody."""

from __future__ import annotations

from urllib.parse import parse_qsl

from shared.errors import InvalidInputError
from shared.redaction import redact_text

SIGNED = (
    "carries a secret in its query ({name}), which whoever sees the flight or its events would see. Name the"
    " flight by s3:// or davs://, with the keys in Flightline's settings; or by a manifest at a URL without a"
    " signature, in which the URLs of the files may be signed"
)


def shown_to_all(uri: str) -> str:
    """Return a source's URI if it may be shown.

    Raises:
        InvalidInputError: It is presigned, or holds a token; the secret is not repeated.
    """
    scheme, _, rest = uri.partition("://")
    address, _, query = rest.partition("?")
    if scheme.lower() not in ("http", "https") or not query:
        return uri
    for name, value in parse_qsl(query.partition("#")[0], keep_blank_values=True):
        if redact_text(f"{name}={value}") != f"{name}={value}":
            place = f"{scheme}://{address.rpartition('@')[2]}"
            raise InvalidInputError(f"{place} {SIGNED.format(name=name[:80])}", field="source")
    return uri
