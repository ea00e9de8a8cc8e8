"""Keys of objects, and the URIs that carry them."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from shared.errors import InvalidInputError

KEY_BYTES_AT_MOST = 1024
METADATA_BYTES_AT_MOST = 1800
"""S3 allows 2 KB for all, and the hash is in there."""
_METADATA_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


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


def is_key(text: str) -> bool:
    """Return whether ``text`` could be the key of an object."""
    try:
        check_key(text)
    except InvalidInputError:
        return False
    return True


def check_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return a copy of ``metadata`` if every store can keep it.

    Raises:
        InvalidInputError: A name is not of lower-case letters, digits and dashes, or it is all too long.
    """
    for name in metadata:
        if not _METADATA_NAME.fullmatch(name) or name == "sha256":
            raise InvalidInputError(f"metadata cannot be called {name!r}", field="metadata", value=name)
    if sum(len(name) + len(quote(value)) for name, value in metadata.items()) > METADATA_BYTES_AT_MOST:
        raise InvalidInputError(
            f"metadata has more than {METADATA_BYTES_AT_MOST} bytes, percent-encoded", field="metadata"
        )
    return dict(metadata)


def check_range(start: int, end: int | None) -> None:
    """Raise ``InvalidInputError`` unless ``start <= i < end`` is a range of bytes."""
    if start < 0 or (end is not None and end < start):
        raise InvalidInputError("read from byte 0 or later, to no earlier byte", field="start", value=start)


def check_small(key: str, size_bytes: int, at_most: int) -> None:
    """Raise ``InvalidInputError`` if an object is too large to be read whole."""
    if size_bytes > at_most:
        raise InvalidInputError(
            f"{key} has {size_bytes} bytes, at most {at_most} are read whole", field="at_most", value=at_most
        )


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
