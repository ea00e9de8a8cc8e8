"""The way to a datalab: calls with the token, repeated where that does no harm, and downloads without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from datalab_client.answers import error_of, parsed, where
from datalab_client.errors import DatalabError, InvalidError, ServerError, UnreachableError
from datalab_client.pauses import Pauses, retry_after_s
from datalab_client.quiet import hide_signatures

CONNECT_S = 10.0
ANSWER_AT_MOST_BYTES = 256 << 20
STORING_S = 60.0
"""How long a large file may take from its last byte to where it is kept."""
REPEATED = frozenset({429, 502, 503, 504})
"""Answers that may be others a moment later."""
SAFE = frozenset({"GET", "HEAD", "DELETE"})
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
REDIRECTS_AT_MOST = 5
AGENT = "datalab-client"


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client behaves.

    Attributes:
        timeout_s: How long an answer may be silent.
        patience_s: How long what failed is tried again.
        progress: Whether bars are shown.
    """

    timeout_s: float = 30.0
    patience_s: float = 60.0
    progress: bool = True

    def timeout(self, more_s: float = 0.0) -> httpx.Timeout:
        """Return the limits of a call whose answer may come ``more_s`` later."""
        return httpx.Timeout(self.timeout_s + more_s, connect=min(CONNECT_S, self.timeout_s))


class Connection:
    """Calls one datalab; the token goes nowhere else, nor along a redirect."""

    def __init__(self, url: str, token: str | None, manners: Manners) -> None:
        self.url = base_url(url)
        self.manners = manners
        headers = {"Accept": "application/json", "User-Agent": AGENT}
        if token is not None:
            headers["Authorization"] = f"Token {checked_token(token)}"
        is_secure = self.url.startswith("https:")  # certificates take long to read, and http has none
        self._api = httpx.Client(
            headers=headers, timeout=manners.timeout(), verify=is_secure, follow_redirects=False
        )
        self._elsewhere: httpx.Client | None = None
        hide_signatures()

    def get(self, path: str, *, more_s: float = 0.0, **query: Any) -> Any:
        """Return what there is at a path."""
        wanted = {name: value for name, value in query.items() if value is not None}
        return self.call("GET", path, params=wanted, timeout=self.manners.timeout(more_s))

    def post(self, path: str, body: Any = None, *, is_repeatable: bool = False, **more: Any) -> Any:
        """Send something, once; again only where that does no harm (``is_repeatable``)."""
        return self.call("POST", path, body, is_repeatable=is_repeatable, **more)

    def call(
        self, method: str, path: str, body: Any = None, *, is_repeatable: bool | None = None, **more: Any
    ) -> Any:
        """Return the JSON that the server answers with.

        Args:
            method: Of HTTP.
            path: Below the server's address.
            body: Is sent as JSON, if there is one.
            is_repeatable: Whether it may be sent again when it is unknown what became of it; None: as the
                method is.
            more: For the HTTP client.

        Raises:
            DatalabError: What its kind says.
        """
        if body is not None:
            more = {"content": as_json(body), "headers": {"Content-Type": "application/json"}, **more}
        request = self._api.build_request(method, self.url + path, **more)
        repeats = method in SAFE if is_repeatable is None else is_repeatable
        return self._repeated(lambda: request, body, repeats=repeats)

    def upload(self, path: str, name: str, file: Any) -> Any:
        """Send a file as a form, as it is read; the same content twice is there once."""
        return self._repeated(
            lambda: self._api.build_request(
                "POST", self.url + path, files={"file": (name, file)}, timeout=self.manners.timeout(STORING_S)
            ),
            repeats=True,
        )

    @contextmanager
    def download(
        self, url: str, headers: Mapping[str, str], timeout_s: float | None = None
    ) -> Iterator[httpx.Response]:
        """Open what a signed URL leads to, wherever that is; without the token."""
        if self._elsewhere is None:
            self._elsewhere = httpx.Client(
                headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
                follow_redirects=True,
                max_redirects=REDIRECTS_AT_MOST,
            )
        limits = httpx.Timeout(timeout_s) if timeout_s else self.manners.timeout()
        with self._elsewhere.stream("GET", url, headers=headers, timeout=limits) as response:
            yield response

    def close(self) -> None:
        """Close all connections."""
        self._api.close()
        if self._elsewhere is not None:
            self._elsewhere.close()

    def _repeated(self, build: Callable[[], httpx.Request], sent: Any = None, *, repeats: bool) -> Any:
        pauses = Pauses(self.manners.patience_s)
        while True:
            request = build()
            try:
                response, content = self._answer(request)
            except httpx.TransportError as error:
                is_harmless = repeats or isinstance(error, NEVER_SENT)
                if is_harmless and pauses.wait():
                    continue
                raise _unreachable(request, error, is_open=not is_harmless) from error
            if response.is_success:
                return parsed(response, content)
            again = repeats and response.status_code in REPEATED
            if not again or not pauses.wait(retry_after_s(response.headers)):
                raise error_of(response, content, sent)

    def _answer(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        content = bytearray()
        try:
            response = self._api.send(request, stream=True)
            try:
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > ANSWER_AT_MOST_BYTES:
                        raise ServerError(
                            f"{where(request)} answered with more than {ANSWER_AT_MOST_BYTES} bytes."
                        )
            finally:
                response.close()
        except httpx.DecodingError as error:
            raise ServerError(f"{where(request)} answered with what cannot be read: {error}") from error
        return response, bytes(content)


def base_url(text: str) -> str:
    """Return a datalab's address without a slash at its end.

    Raises:
        InvalidError: It is none.
    """
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL as error:
        raise InvalidError(f"This is no address of a datalab: {error}") from None
    if url.userinfo or url.query:
        raise InvalidError(
            "An address with a password or a query in it ends up in logs: give `token` instead."
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidError(f"{text!r} is no address of a datalab: it begins with http:// or https://.")
    return str(url.copy_with(fragment=None)).rstrip("/")


def checked_token(token: str) -> str:
    """Return a token without blanks around it.

    Raises:
        InvalidError: It cannot be one; it is not told.
    """
    found = token.strip()
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise InvalidError("A token is a word of ASCII characters; this one is not.")
    return found


def as_json(value: Any) -> bytes:
    """Return JSON; numbers and arrays of numpy are taken, too.

    Raises:
        InvalidError: There is something that JSON does not have.
    """
    try:
        return json.dumps(value, allow_nan=False, default=_plain).encode()
    except ValueError as error:
        raise InvalidError(f"A number that is not finite cannot be sent: {error}") from None
    except RecursionError:
        raise InvalidError("What is to be sent is nested too deeply.") from None


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise InvalidError(f"A {type(value).__name__} cannot be sent: {value!r:.80}")


def _unreachable(request: httpx.Request, error: Exception, *, is_open: bool = False) -> DatalabError:
    said = f"{where(request)} got no answer: {error or type(error).__name__}."
    if is_open:
        said += " It is not known whether it was carried out: look before you ask again."
    return UnreachableError(said)
