"""Answers of the simulator, and errors in the form that Nextcloud gives them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

XML = "application/xml; charset=utf-8"
_ERROR = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">\n'
    "  <s:exception>{exception}</s:exception>\n"
    "  <s:message>{message}</s:message>\n"
    "</d:error>\n"
)
_EXCEPTIONS = {
    400: "Sabre\\DAV\\Exception\\BadRequest",
    401: "Sabre\\DAV\\Exception\\NotAuthenticated",
    403: "Sabre\\DAV\\Exception\\Forbidden",
    404: "Sabre\\DAV\\Exception\\NotFound",
    405: "Sabre\\DAV\\Exception\\MethodNotAllowed",
    409: "Sabre\\DAV\\Exception\\Conflict",
    412: "Sabre\\DAV\\Exception\\PreconditionFailed",
    415: "Sabre\\DAV\\Exception\\UnsupportedMediaType",
    423: "OCA\\DAV\\Connector\\Sabre\\Exception\\FileLocked",
    501: "Sabre\\DAV\\Exception\\NotImplemented",
    503: "Sabre\\DAV\\Exception\\ServiceUnavailable",
    507: "Sabre\\DAV\\Exception\\InsufficientStorage",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def status_line(self) -> str:
        """Return the status with its usual words."""
        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return f"{self.status} Unknown"

    def header_list(self) -> list[tuple[str, str]]:
        """Return the headers as WSGI takes them."""
        headers = {"Content-Length": str(len(self.body)), **self.headers}
        if self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            headers.pop("Content-Length")
        return [*headers.items()]


class RefusedError(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, message: str = "", *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}

    def answer(self) -> Answer:
        """Return the error as Nextcloud words it."""
        exception = _EXCEPTIONS.get(self.status, "Sabre\\DAV\\Exception")
        body = _ERROR.format(exception=exception, message=escape(self.message))
        return Answer(self.status, {"Content-Type": XML, **self.headers}, body.encode())


def json_answer(document: Any, status: int = 200) -> Answer:
    """Return a JSON document, as the control interface answers."""
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(document).encode())


def multi_status(responses: Iterable[str]) -> Answer:
    """Return a 207 with these ``d:response`` elements."""
    body = (
        '<?xml version="1.0"?>\n'
        '<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" '
        'xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns">'
        + "".join(responses)
        + "</d:multistatus>\n"
    )
    return Answer(207, {"Content-Type": XML}, body.encode())
