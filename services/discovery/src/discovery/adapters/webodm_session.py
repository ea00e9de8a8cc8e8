"""Requests to a WebODM, with a login that is renewed when it has to be."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, NoReturn

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientSession, ClientTimeout, FormData
from pydantic import SecretStr

from discovery.adapters.webodm_file import FileBody
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.redaction import redact_text
from shared.retry_after import read_retry_after
from shared.urls import shown_url

ANSWER_AT_MOST_BYTES = 16 << 20
CONNECT_WITHIN_S = 15.0
ANSWER_WITHIN_S = 60.0
STALLED_AFTER_S = 300.0
"""An upload that has not moved for so long has failed; its answer may take as long, too."""
LOGIN_FOR_S = 5 * 3600.0
"""Tokens live six hours and cannot be refreshed; a login is renewed before an upload meets their end."""
UPLOADS_AT_MOST = 8
SHOWN_CHARACTERS = 300

_MAY_PASS = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_ALONE_AT_MOST = timedelta(hours=1)
_REDIRECTS = range(HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.BAD_REQUEST)
_NOT_LOGGED_IN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_LACKS_PERMISSION = "You do not have permission"
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Accept-Language": "en",  # a refusal is told from an expired login by its sentence
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long WebODM may take, and how long a login is used."""

    connect_s: float = CONNECT_WITHIN_S
    answer_s: float = ANSWER_WITHIN_S
    stalled_s: float = STALLED_AFTER_S
    login_for_s: float = LOGIN_FOR_S


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for; ``doing`` says it to a person."""

    method: str
    path: str
    doing: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    file: FileBody | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def told(self) -> str:
        """Return what WebODM says is wrong, without secrets, in one line."""
        try:
            said = _sentence(json.loads(self.content))
        except (ValueError, RecursionError):
            said = ""
        said = " ".join(redact_text(said).split())
        return f"{said[:SHOWN_CHARACTERS]}…" if len(said) > SHOWN_CHARACTERS else said


@dataclass(slots=True)
class Session:
    """Asks one WebODM as one user."""

    http: ClientSession
    url: str
    username: str
    password: SecretStr
    timeouts: Timeouts = field(default_factory=Timeouts)
    _token: str = field(default="", repr=False)
    _logged_in_at_s: float = 0.0
    _failed: tuple[float, TransientError | PermanentError] | None = None
    _logging_in: asyncio.Lock = field(default_factory=asyncio.Lock)
    _uploading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS_AT_MOST))

    @property
    def name(self) -> str:
        """WebODM as messages call it."""
        return f"WebODM at {shown_url(self.url)}"

    async def ask(self, request: Request) -> Any:
        """Return the JSON that answers a request, or None where there is no content.

        Raises:
            TransientError: WebODM is away, busy, or said nothing that can be understood.
            NotFoundError: There is no such thing, or the user may not know of it.
            PermanentError: WebODM refused.
        """
        answer = await self._answer(request)
        self._check(answer, request)
        if answer.status == HTTPStatus.NO_CONTENT:
            return None
        try:
            return json.loads(answer.content)
        except (ValueError, RecursionError):
            raise TransientError(f"{self.name} gave an answer that is no JSON to: {request.doing}") from None

    async def _answer(self, request: Request) -> Answer:
        token = await self._login()
        answer = await self._send(request, token)
        if not _is_logged_out(answer):
            return answer
        token = await self._login(refused=token)
        if request.file:
            raise TransientError(f"the login at {self.name} ended and was renewed before: {request.doing}")
        answer = await self._send(request, token)
        if _is_logged_out(answer):
            raise TransientError(f"{self.name} refuses its own login ({answer.told()}) at: {request.doing}")
        return answer

    async def _login(self, *, refused: str = "") -> str:
        """Return a token other than the ``refused`` one; however many ask, one login is made.

        Raises:
            TransientError: WebODM is away or busy.
            PermanentError: It does not know the user, or the password is another.
        """
        asked_at_s = time.monotonic()
        async with self._logging_in:
            is_fresh = time.monotonic() - self._logged_in_at_s < self.timeouts.login_for_s
            if self._token and self._token != refused and is_fresh:
                return self._token
            if self._failed and self._failed[0] >= asked_at_s:
                raise type(self._failed[1])(str(self._failed[1]))  # those who waited do not try one by one
            try:
                self._token = await self._new_token()
            except (TransientError, PermanentError) as error:
                self._failed = (time.monotonic(), error)
                raise
            self._logged_in_at_s = time.monotonic()
            return self._token

    async def _new_token(self) -> str:
        credentials = {"username": self.username, "password": self.password.get_secret_value()}
        request = Request("POST", "/api/token-auth/", "log in", body=credentials)
        answer = await self._send(request)
        if answer.status in (HTTPStatus.BAD_REQUEST, *_NOT_LOGGED_IN):
            raise PermanentError(f"{self.name} refuses the login: check user name and password")
        self._check(answer, request)
        try:
            token = json.loads(answer.content)["token"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise TransientError(f"{self.name} gave no token for the login") from None
        if not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
            raise TransientError(f"{self.name} gave no token for the login")
        return token

    async def _send(self, request: Request, token: str = "") -> Answer:
        try:
            if request.file:
                return await self._upload(request, request.file, token)
            return await self._exchange(request, token, total_s=self.timeouts.answer_s)
        except (ClientError, OSError) as error:
            if request.file and request.file.fault:
                raise request.file.fault from None
            raise TransientError(self._told(error, request)) from None

    def _told(self, error: ClientError | OSError, request: Request) -> str:
        """Say what the network did; its own words may repeat what was sent."""
        match error:
            case TimeoutError():
                return f"{self.name} did not answer in time to: {request.doing}"
            case ClientConnectorError():
                return f"{self.name} cannot be reached: {type(error.os_error).__name__}"
            case _:
                return f"the connection to {self.name} broke ({type(error).__name__}) at: {request.doing}"

    async def _upload(self, request: Request, file: FileBody, token: str) -> Answer:
        loop = asyncio.get_running_loop()
        stalled_s = self.timeouts.stalled_s
        async with self._uploading, asyncio.timeout(stalled_s) as limit:

            def moved() -> None:
                if not limit.expired():
                    limit.reschedule(loop.time() + stalled_s)

            return await self._exchange(request, token, total_s=None, data=file.stream(moved))

    async def _exchange(
        self, request: Request, token: str, *, total_s: float | None, data: Any = None
    ) -> Answer:
        timeout = ClientTimeout(total=total_s, sock_connect=self.timeouts.connect_s)
        async with self.http.request(
            request.method,
            f"{self.url}{request.path}",
            params=dict(request.params),
            json=request.body,
            data=_form(request.form) if request.form is not None else data,
            headers=_headers(request, token),
            allow_redirects=False,  # the token is for nobody else
            timeout=timeout,
        ) as answer:
            return Answer(answer.status, answer.headers, await self._content(answer))

    async def _content(self, answer: ClientResponse) -> bytes:
        content = bytearray()
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > ANSWER_AT_MOST_BYTES:
                raise PermanentError(f"{self.name} gave an answer of more than {ANSWER_AT_MOST_BYTES} bytes")
        return bytes(content)

    def _check(self, answer: Answer, request: Request) -> None:
        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _MAY_PASS:
            raise TransientError(
                f"{self.name} answered {answer.status} to: {request.doing}",
                retry_after=read_retry_after(answer.headers.get("Retry-After"), _ALONE_AT_MOST),
            )
        if answer.status in _REDIRECTS:
            to = shown_url(answer.headers.get("Location", ""))
            raise PermanentError(f"{self.name} redirects to {to}; use that address")
        self._refuse(answer, request)

    def _refuse(self, answer: Answer, request: Request) -> NoReturn:
        why = answer.told()
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError(
                f"{self.name} has nothing of that kind, or {self.username} may not see it: {request.doing}"
                + (f" ({why})" if why else "")
            )
        raise PermanentError(f"{self.name} refused to {request.doing}: {why or f'status {answer.status}'}")


def _headers(request: Request, token: str) -> dict[str, str]:
    headers = dict(_HEADERS)
    if token:
        headers["Authorization"] = f"JWT {token}"
    if request.file:
        headers["Content-Type"] = request.file.content_type
        headers["Content-Length"] = str(request.file.length_bytes)
    return headers


def _form(fields: Mapping[str, str]) -> FormData:
    form = FormData(default_to_multipart=True)
    for name, value in fields.items():
        form.add_field(name, value)
    return form


def _is_logged_out(answer: Answer) -> bool:
    """Return whether the token is at fault; which of two statuses says so depends on WebODM's settings."""
    return answer.status in _NOT_LOGGED_IN and not answer.told().startswith(_LACKS_PERMISSION)


def _sentence(said: Any) -> str:
    """Return the sentences of an error as Django REST framework builds them: text, lists, fields."""
    match said:
        case str():
            return said
        case list():
            return "; ".join(_sentence(one) for one in said)
        case {"detail": one} | {"error": one} | {"non_field_errors": one}:
            return _sentence(one)
        case dict():
            return "; ".join(f"{name}: {_sentence(one)}" for name, one in said.items())
        case _:
            return ""
