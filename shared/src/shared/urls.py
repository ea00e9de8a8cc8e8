"""URLs that others chose: checked before they are used, and without secrets where they are shown."""

from __future__ import annotations

from yarl import URL

from shared.errors import InvalidInputError

URL_AT_MOST_CHARACTERS = 8_000


def checked_url(text: str) -> str:
    """Return ``text`` if it is an http or https URL with a host.

    Raises:
        InvalidInputError: It is none; the message does not repeat it, because it may hold a password.
    """
    if len(text) > URL_AT_MOST_CHARACTERS:
        raise InvalidInputError(f"a URL has at most {URL_AT_MOST_CHARACTERS} characters", field="url")
    try:
        url = URL(text)
    except ValueError as error:
        raise InvalidInputError("not a valid URL", field="url") from error
    if url.scheme not in ("http", "https") or not url.host or not text.isprintable():
        raise InvalidInputError("expected a URL that begins with http:// or https:// and a host", field="url")
    return text


def shown_url(text: str) -> str:
    """Return a URL as it may be shown: without user, password, query and fragment."""
    try:
        url = URL(text)
        return str(url.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "a URL"
