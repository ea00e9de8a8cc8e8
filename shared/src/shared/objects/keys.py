"""Keys of objects, and the URIs that carry them."""

from __future__ import annotations

from urllib.parse import quote, unquote

from shared.errors import InvalidInputError

KEY_BYTES_AT_MOST = 1024


def check_key(key: str) -> str:
    """Return ``key`` if every store can keep an object under it.

    Raises:
        InvalidInputError: It is empty, longer than 1024 bytes, absolute, or leads out of the store.
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError("a key is Unicode text", field="key", value=key) from error
    if not 0 < size <= KEY_BYTES_AT_MOST or "\0" in key:
        raise InvalidInputError("a key is 1 to 1024 bytes, without NUL", field="key", value=key)
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise InvalidInputError(
            f"{key!r} is no key: write names joined by single slashes, without . and ..",
            field="key",
            value=key,
        )
    return key


def key_to_uri(base: str, key: str) -> str:
    """Return the percent-encoded URI of ``key`` below ``base``, which has no slash at its end."""
    return f"{base}/{quote(check_key(key), safe='/')}"


def uri_to_key(base: str, uri: str) -> str:
    """Return the key that ``uri`` has below ``base``.

    Raises:
        InvalidInputError: The URI lies outside ``base``.
    """
    if not uri.startswith(f"{base}/"):
        raise InvalidInputError(f"{uri} is not in this store, {base}", field="uri", value=uri)
    return check_key(unquote(uri[len(base) + 1 :]))
