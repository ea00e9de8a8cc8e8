"""tapipy off the event loop: no token of its own, a deadline for every call, and bounded answers."""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from tapipy.errors import BaseTapyException  # type: ignore[import-untyped]
from tapipy.tapis import Tapis, TapisResult  # type: ignore[import-untyped]
from typing_extensions import override

from shared.tapis.faults import TapisFault, retry_after_s

T = TypeVar("T")

THREADS = 32
CONNECT_WITHIN_S = 10.0
ANSWER_WITHIN_S = 30.0
ANSWER_AT_MOST_BYTES = 64 << 20
READ_BYTES = 8 << 10
TOKEN_HEADER = "X-Tapis-Token"  # noqa: S105 - the name of a header


class TapisApi:
    """Calls of one tenant; every call brings the token of whom it is for.

    tapipy's own way with tokens is not used: it refreshes in every thread at once, and swallows it when that
    fails.
    """

    def __init__(self, base_url: str, tenant: str, *, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self.base_url = base_url.rstrip("/")
        self.tenant = tenant
        self._answer_within_s = answer_within_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="tapis")
        self._client = Tapis(base_url=self.base_url, tenant_id=tenant)
        self._client.requests_session = _session(self.base_url, answer_within_s)

    async def call(
        self,
        service: str,
        operation: str,
        token: str | None = None,
        /,
        *,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Any:
        """Call an operation and return its result.

        Raises:
            TapisFault: Anything but a whole answer of success came.
        """
        sent = (headers or {}) | ({TOKEN_HEADER: token} if token else {})
        operate = getattr(getattr(self._client, service), operation)
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S + 2 * self._answer_within_s):
                return await self._in_thread(lambda: _called(operate, sent, fields))
        except TimeoutError:
            raise TapisFault(None, "no answer in time") from None

    def close(self) -> None:
        """Close connections; a call that still runs ends at its own deadline."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.requests_session.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, work)


def _called(operate: Any, headers: dict[str, str], fields: dict[str, Any]) -> Any:
    """Call tapipy. Its errors hold the request, and so the token: none leaves this function."""
    try:
        result = operate(_tapis_headers=headers, **fields)
    except BaseTapyException as error:
        fault = _fault(error)
    else:
        return _parsed(result)
    raise fault


def _fault(error: BaseTapyException) -> TapisFault:
    response = error.response
    if response is None:
        return TapisFault(None, type(error.__context__ or error).__name__)
    wait_s = retry_after_s(response.headers.get("Retry-After"))
    return TapisFault(response.status_code, error.message, wait_s)


def _parsed(result: Any) -> Any:
    """Return a result that tapipy left as bytes, because of its content type or because it is none."""
    if not isinstance(result, bytes):
        return result
    try:
        found = json.loads(result)["result"]
        return [TapisResult(**item) for item in found] if isinstance(found, list) else TapisResult(**found)
    except (ValueError, KeyError, TypeError):
        raise TapisFault(None, "half an answer, or none that is JSON") from None


def _session(base_url: str, answer_within_s: float) -> requests.Session:
    """Return a session that reaches ``base_url`` only: a redirect elsewhere would take the token along."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.adapters.clear()
    parts = urlsplit(base_url)
    session.mount(f"{parts.scheme}://{parts.netloc}/", _Bounded(answer_within_s))
    return session


class _Bounded(HTTPAdapter):
    """Reads answers itself: tapipy knows neither timeouts nor limits."""

    def __init__(self, answer_within_s: float) -> None:
        super().__init__(pool_maxsize=THREADS)
        self._answer_within_s = answer_within_s

    @override
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        until_s = time.monotonic() + self._answer_within_s
        kwargs |= {"stream": True, "timeout": (CONNECT_WITHIN_S, self._answer_within_s)}
        response = super().send(request, *args, **kwargs)
        body = bytearray()
        for chunk in response.iter_content(READ_BYTES):
            body += chunk
            if time.monotonic() > until_s or len(body) > ANSWER_AT_MOST_BYTES:
                response.close()
                raise requests.exceptions.ReadTimeout("the answer does not come to an end")
        response._content = bytes(body)  # noqa: SLF001 - what is read already is kept here
        return response
