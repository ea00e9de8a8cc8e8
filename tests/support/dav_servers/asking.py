"""One plain request to a WebDAV server, sharing no code with the client under test."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from urllib.parse import quote, urlsplit

from shared.dav.place import DavPlace


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class Asking:
    """Requests to a place, each on a connection of its own."""

    place: DavPlace

    def ask(self, method: str, path: str = "", body: bytes | None = None, **headers: str) -> Reply:
        """Send a request; underscores in headers are dashes, a slash in front makes a path absolute."""
        parts = urlsplit(self.place.url)
        target = path if path.startswith("/") else parts.path + quote(path)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        try:
            own = {"Authorization": self.place.authorization}
            own |= {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, body, own)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def put(self, path: str, body: bytes, **headers: str) -> Reply:
        """Store a file."""
        return self.ask("PUT", path, body, **headers)

    def move(self, path: str, target: str, **headers: str) -> Reply:
        """Let a file lie elsewhere."""
        return self.ask("MOVE", path, None, Destination=self.url(target), **headers)

    def etag(self, path: str) -> str:
        """Return the ETag in the headers."""
        return self.ask("HEAD", path).headers["ETag"] or ""

    def url(self, path: str) -> str:
        """Return the address of a path, as it is written: not even ``..`` is resolved."""
        return self.place.url + quote(path)

    def cut_put(self, path: str, body: bytes, size_bytes: int, **headers: str) -> None:
        """Begin to store a file of ``size_bytes``, and end the connection after ``body``."""
        with self._begun("PUT", path, size_bytes, headers) as connection:
            connection.send(body)

    @contextmanager
    def _begun(
        self, method: str, path: str, size_bytes: int, headers: dict[str, str]
    ) -> Iterator[http.client.HTTPConnection]:
        parts = urlsplit(self.place.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        connection.putrequest(method, parts.path + quote(path))
        for name, value in {"Authorization": self.place.authorization, **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.putheader("Content-Length", str(size_bytes))
        connection.endheaders()
        try:
            yield connection
        finally:
            connection.close()
