"""The forms of answers: envelopes of the Java services, of the Flask services, and bare text."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

FLASK_PATHS = ("/v3/oauth2", "/v3/tenants", "/v3/sites", "/.well-known")
_FLASK_VERSION = "1.6.0"
_JAVA = {"version": "1.8.2", "commit": "0000000", "build": "2025-10-01T00:00:00Z"}


class RefusedError(Exception):
    """The request is answered with an error, in the form of the service that it went to."""

    def __init__(
        self, status: int, message: str, *, is_text: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.is_text = is_text
        self.retry_after_s = retry_after_s

    def answer(self, path: str) -> web.Response:
        """Return the answer as the service at ``path`` words it."""
        wait = {} if self.retry_after_s is None else {"Retry-After": f"{self.retry_after_s:g}"}
        if self.is_text:
            return web.Response(status=self.status, text=self.message, headers=wait)
        if path.startswith(FLASK_PATHS):
            return flask(None, self.message, status=self.status, word="error", headers=wait)
        word = HTTPStatus(self.status).phrase
        return java(None, self.message, status=self.status, word=word, headers=wait)


def plain(document: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return JSON. The header is exactly ``application/json``: tapipy parses no other."""
    own = {"Content-Type": "application/json", **(headers or {})}
    return web.Response(status=status, body=orjson.dumps(document), headers=own)


def java(
    result: object,
    message: str,
    *,
    metadata: dict[str, Any] | None = None,
    status: int = 200,
    word: str = "success",
    headers: dict[str, str] | None = None,
) -> web.Response:
    """Return an answer of Systems or Files."""
    document = {"status": word, "message": message, "result": result, **_JAVA, "metadata": metadata or {}}
    return plain(document, status=status, headers=headers)


def flask(
    result: object,
    message: str,
    *,
    status: int = 200,
    word: str = "success",
    headers: dict[str, str] | None = None,
) -> web.Response:
    """Return an answer of the Authenticator or of Tenants."""
    document = {
        "version": _FLASK_VERSION,
        "message": message,
        "status": word,
        "metadata": {},
        "result": result,
    }
    return plain(document, status=status, headers=headers)
