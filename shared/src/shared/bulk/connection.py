"""One connection to an HTTP/1.1 server, for one thread at a time; whatever goes wrong is an ``OSError``."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse

from shared.bulk.buffers import BUFFER_BYTES, Buffers
from shared.streams import Chunk

SENT_AT_ONCE_BYTES = 1 << 20
"""A socket's timeout is for all that one call sends."""
READ_FOR_S = 0.25
READ_BUFFERS = 8
"""One turn of a thread: long enough to be worth it, short enough to tell a pace by."""

Allowed = Callable[[str, Iterable[str]], Collection[str]]
"""Returns those of a host's addresses that may be connected to; raises if there is none."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a connection is to."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What connections keep to."""

    allowed: Allowed
    connect_s: float
    read_s: float
    """How long to wait for the next bytes."""
    ca_file: str | None = None
    """Whom to trust instead of whom this machine trusts."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request."""

    method: str
    target: str
    headers: Mapping[str, str]
    pieces: Sequence[Chunk] = ()


class Connection:
    """A connection, made when it is needed."""

    def __init__(self, peer: Peer, terms: Terms) -> None:
        self.peer = peer
        self.is_aborted = False
        self._terms = terms
        self._socket: socket.socket | None = None
        self._http: HTTPConnection | None = None
        self._response: HTTPResponse | None = None

    @property
    def is_at_end(self) -> bool:
        """Return whether the last answer was read to its end."""
        return self._response is None or self._response.isclosed()

    @property
    def is_reusable(self) -> bool:
        """Return whether another request can be sent."""
        is_open = self._http is not None and self._http.sock is not None
        return is_open and self.is_at_end and not self.is_aborted

    def begin(self, ask: Ask) -> HTTPResponse:
        """Send a request and return the head of its answer.

        A server may have hung up since the last request; then it is sent again, which changes nothing for
        those of the methods GET and PUT.
        """
        was_used = self._http is not None
        try:
            return self._begun(ask)
        except ConnectionError:
            if not was_used or self.is_aborted:
                raise
        return self._begun(ask)

    def read(self, buffers: Buffers) -> list[memoryview]:
        """Return the bytes of the body that come in a moment, one at least; none at its end."""
        assert self._response is not None
        until_s = time.monotonic() + READ_FOR_S
        found: list[memoryview] = []
        with self._closed_if_it_fails():
            while not self.is_at_end and len(found) < READ_BUFFERS and time.monotonic() < until_s:
                found.append(_filled(self._response, buffers, until_s))
        return found

    def abort(self) -> None:
        """End what a thread does with the connection; the only thing that another thread may do to it."""
        self.is_aborted = True
        if self._socket is not None:
            with suppress(OSError):  # not by TLS, whose state belongs to the thread
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        for closing in (self._response, self._http, self._socket):
            if closing is not None:
                closing.close()
        self._response = self._http = self._socket = None

    def _begun(self, ask: Ask) -> HTTPResponse:
        with self._closed_if_it_fails():
            http = self._http or self._connected()
            http.putrequest(ask.method, ask.target, skip_host=True, skip_accept_encoding=True)
            for name, value in ask.headers.items():
                http.putheader(name, value)
            http.endheaders()
            for part in _cut(ask.pieces):
                http.send(part)
            self._response = http.getresponse()
            if self._response.length == 0:
                self._response.close()
            return self._response

    def _connected(self) -> HTTPConnection:
        self._socket = self._dialled()
        if self.peer.scheme == "https":
            self._socket = tls = _tls(self._terms.ca_file).wrap_socket(
                self._socket, server_hostname=self.peer.host, do_handshake_on_connect=False
            )
            tls.do_handshake()
        self._socket.settimeout(self._terms.read_s)
        self._http = HTTPConnection(self.peer.host, self.peer.port)
        self._http.auto_open = 0  # it would look the address up anew, and connect to any
        self._http.sock = self._socket
        return self._http

    def _dialled(self) -> socket.socket:
        """Connect to the first address that answers, of those that may be connected to."""
        host, port = self.peer.host, self.peer.port
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        allowed = self._terms.allowed(host, [str(address[0]) for *_, address in found])
        failure = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in found:
            if address[0] not in allowed:
                continue
            self._socket = socket.socket(family, kind, protocol)
            self._socket.settimeout(self._terms.connect_s)
            try:
                self._check_wanted()
                self._socket.connect(address)
            except OSError as error:
                failure = error
                self._socket.close()
            else:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._socket
        raise failure

    def _check_wanted(self) -> None:
        if self.is_aborted:
            raise ConnectionAbortedError("nobody waits for it any more")

    @contextmanager
    def _closed_if_it_fails(self) -> Iterator[None]:
        try:
            self._check_wanted()
            yield
        except BaseException as error:
            self.close()
            if isinstance(error, HTTPException) and not isinstance(error, OSError):
                raise ConnectionError(f"no proper HTTP ({type(error).__name__})") from error
            raise


def _filled(response: HTTPResponse, buffers: Buffers, until_s: float) -> memoryview:
    """Return what comes until then, a buffer full at most; what is little is copied, and holds no buffer."""
    left_bytes = BUFFER_BYTES if response.length is None else response.length
    view, filled = buffers.lent(min(left_bytes, BUFFER_BYTES)), 0
    while filled < len(view) and not response.isclosed():
        filled += _received(response, view[filled:])
        if time.monotonic() >= until_s:
            break
    return view[:filled] if filled >= len(view) // 2 else memoryview(bytes(view[:filled]))


def _received(response: HTTPResponse, view: memoryview) -> int:
    """Receive once, and no copy of it where the length of the body is known."""
    if response.length is None:
        content = response.read1(len(view))
        view[: len(content)] = content
        if not content:
            response.close()
        return len(content)
    came_bytes = response.fp.readinto1(view)
    if not came_bytes:
        raise ConnectionError(f"{response.length} bytes are missing")
    response.length -= came_bytes
    if not response.length:
        response.close()
    return came_bytes


def _cut(pieces: Sequence[Chunk]) -> Iterator[memoryview]:
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), SENT_AT_ONCE_BYTES):
            yield view[start : start + SENT_AT_ONCE_BYTES]


@lru_cache
def _tls(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)
