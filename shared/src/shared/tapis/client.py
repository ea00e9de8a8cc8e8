"""Systems, listings and files of a tenant, for any number of users: retried, throttled per system."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from shared.errors import InvalidInputError, NotFoundError
from shared.sources.pace import Pace
from shared.sources.port import LoginNeededError
from shared.tapis.api import CONNECT_WITHIN_S, TOKEN_HEADER, TapisApi
from shared.tapis.content import chunks
from shared.tapis.faults import TapisFault, retry_after_s
from shared.tapis.listing import PAGE, Listed, collect
from shared.tapis.records import SYSTEM_FIELDS, FileInfo, TapisSystem, file_of, system_of
from shared.tapis.retrying import Patience, UnauthorizedError, persistently
from shared.tapis.throttle import Throttle, Throttles
from shared.tapis.tokens import TapisTokens
from shared.tracing.calls import watched

T = TypeVar("T")

ERROR_BODY_BYTES = 1000
READ_BUFFER_BYTES = 1 << 18
SYSTEMS_PAGE = 1000
SYSTEM_KEPT_S = 300.0
SYSTEMS_KEPT = 5000
_OK = 200


class TapisClient:
    """One tenant; opened by ``open_tapis``.

    Everything raises ``LoginNeededError``, ``SourceForbiddenError``, ``NotFoundError``, ``InvalidInputError``
    or ``TransientError``.
    """

    def __init__(
        self,
        api: TapisApi,
        session: ClientSession,
        tokens: TapisTokens,
        *,
        patience: Patience | None = None,
        pace: Pace | None = None,
        login_url: str = "",
    ) -> None:
        self._api = api
        self._session = session
        self._tokens = tokens
        self._patience = patience or Patience()
        self._pace = pace or Pace()
        self._login_url = login_url or f"{api.base_url}/v3/oauth2/authorize"
        self._throttles = Throttles()
        self._systems: OrderedDict[tuple[str, str], tuple[float, TapisSystem]] = OrderedDict()

    @property
    def tenant(self) -> str:
        """Return the tenant's id."""
        return self._api.tenant

    def answered_s(self, system_id: str) -> float:
        """Return when a system last answered anything, by ``time.monotonic``."""
        return self._throttles.of(system_id).answered_s

    async def systems(self, owner: str, pattern: str = "*") -> list[TapisSystem]:
        """Return the systems that ``owner`` may see, shared ones as well, whose id fits ``pattern``."""
        found: dict[str, TapisSystem] = {}
        while True:
            after = {"startAfter": next(reversed(found))} if found else {}
            page = await self._call(
                owner,
                "",
                "the Tapis systems",
                lambda records: [system_of(record) for record in _listed(records)],
                service="systems",
                operation="getSystems",
                search=f"(id.like.{pattern})",
                listType="ALL",
                limit=SYSTEMS_PAGE,
                orderBy="id(asc)",
                select=SYSTEM_FIELDS,
                **after,
            )
            new = [system for system in page if system.id not in found]
            found |= {system.id: system for system in new}
            if len(page) < SYSTEMS_PAGE or not new:
                break
        fitting = [system for system in found.values() if fnmatchcase(system.id, pattern)]
        for system in fitting:
            self._keep(owner, system)
        return fitting

    async def system(self, owner: str, system_id: str) -> TapisSystem:
        """Return one system; what is known of it may be some minutes old."""
        known = self._systems.get((owner, system_id))
        if known and time.monotonic() - known[0] < SYSTEM_KEPT_S:
            return known[1]
        system = await self._call(
            owner,
            system_id,
            f"tapis://{system_id}",
            system_of,
            service="systems",
            operation="getSystem",
            systemId=quote(system_id, safe=""),
            select=SYSTEM_FIELDS,
        )
        self._keep(owner, system)
        return system

    async def listing(self, owner: str, system_id: str, path: str) -> Listed:
        """Return what lies directly in a folder, over as many pages as it takes."""
        path = confined(path)
        system = await self.system(owner, system_id)
        where = f"tapis://{system_id}/{path}"
        return await collect(
            lambda offset: self._page(owner, system_id, path, PAGE, offset),
            path,
            where,
            has_folders=system.has_folders,
        )

    async def stat(self, owner: str, system_id: str, path: str) -> FileInfo | None:
        """Return what Tapis tells of one file now; None: there is none."""
        path = confined(path)
        try:
            found = await self._page(owner, system_id, path, 1, 0)
        except NotFoundError:
            return None
        return next((info for info in found if info.path == path and info.kind != "dir"), None)

    async def _page(self, owner: str, system_id: str, path: str, limit: int, offset: int) -> list[FileInfo]:
        return await self._call(
            owner,
            system_id,
            f"tapis://{system_id}/{path}",
            lambda records: [file_of(record) for record in _listed(records)],
            service="files",
            operation="listFiles",
            systemId=quote(system_id, safe=""),
            path=quote(path, safe="/") or "/",
            limit=limit,
            offset=offset,
        )

    @asynccontextmanager
    async def content(self, owner: str, system_id: str, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read a file; that it is whole only its size can tell, since Tapis may send bodies of no length."""
        path = confined(path)
        where = f"tapis://{system_id}/{path}"
        url = f"{self._api.base_url}/v3/files/content/{quote(system_id, safe='')}/{quote(path, safe='/')}"
        throttle = self._throttles.of(system_id)

        async def once(token: str) -> tuple[AsyncExitStack, ClientResponse]:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(throttle.slot())
                answer = await self._answer(stack, url, token)
                return stack.pop_all(), answer

        stack, answer = await self._as_owner(owner, throttle, where, once)
        async with stack:
            yield chunks(answer, where, self._pace, throttle)

    async def _answer(self, stack: AsyncExitStack, url: str, token: str) -> ClientResponse:
        headers = {TOKEN_HEADER: token, "Accept-Encoding": "identity"}
        asking = self._session.get(URL(url, encoded=True), headers=headers, allow_redirects=False)
        try:
            answer = await stack.enter_async_context(asking)
            if answer.status == _OK:
                return answer
            said = await answer.content.read(ERROR_BODY_BYTES)
        except (ClientError, TimeoutError, OSError) as error:
            raise TapisFault(None, type(error).__name__) from None
        raise TapisFault(answer.status, _message(said), retry_after_s(answer.headers.get("Retry-After")))

    async def _call(
        self,
        owner: str,
        system: str,
        where: str,
        read: Callable[[Any], T],
        *,
        service: str,
        operation: str,
        **fields: Any,
    ) -> T:
        throttle = self._throttles.of(system)

        async def once(token: str) -> T:
            async with throttle.slot():
                return read(await self._api.call(service, operation, token, **fields))

        return await self._as_owner(owner, throttle, where, once)

    async def _as_owner(
        self, owner: str, throttle: Throttle, where: str, once: Callable[[str], Awaitable[T]]
    ) -> T:
        """Do something with the owner's token, and once more with another if Tapis does not take it."""
        token = await self._tokens.token(owner)
        for attempt in range(2):
            try:
                return await persistently(self._patience, throttle, where, partial(once, token))
            except UnauthorizedError:
                if attempt == 0:
                    token = await self._tokens.renewed(owner, token)
        raise LoginNeededError(
            f"Tapis does not accept the login of {owner or 'the service account'} any more; log in again at"
            f" {self._login_url}"
        )

    def _keep(self, owner: str, system: TapisSystem) -> None:
        self._systems[owner, system.id] = (time.monotonic(), system)
        self._systems.move_to_end((owner, system.id))
        while len(self._systems) > SYSTEMS_KEPT:
            self._systems.popitem(last=False)


@asynccontextmanager
async def open_tapis(
    base_url: str,
    tenant: str,
    tokens: Callable[[TapisApi], TapisTokens],
    *,
    patience: Patience | None = None,
    pace: Pace | None = None,
    login_url: str = "",
) -> AsyncIterator[TapisClient]:
    """Open a client of a tenant.

    Args:
        base_url: Such as ``https://portals.tapis.io``.
        tenant: Id of the tenant.
        tokens: Gives the tokens' source, which may want to log in by the same API.
        patience: How long to try.
        pace: How slowly a file may come.
        login_url: Where a user logs in again.
    """
    patience = patience or Patience()
    api = await asyncio.to_thread(TapisApi, base_url, tenant)
    timeout = ClientTimeout(total=None, sock_connect=CONNECT_WITHIN_S, sock_read=patience.read_s)
    try:
        async with ClientSession(
            timeout=timeout,
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            middlewares=(watched("tapis"),),
        ) as session:
            yield TapisClient(api, session, tokens(api), patience=patience, pace=pace, login_url=login_url)
    finally:
        api.close()


def confined(path: str) -> str:
    """Return a path without slashes around it.

    Raises:
        InvalidInputError: It leads upwards, or holds what no path can.
    """
    path = path.strip("/")
    if any(part in ("", ".", "..") for part in path.split("/") if path) or "\0" in path:
        raise InvalidInputError(f"{path!r} is no path on a Tapis system", field="source", value=path)
    return path


def _listed(records: Any) -> list[Any]:
    if not isinstance(records, list):
        raise TapisFault(None, "the answer holds no list")
    return records


def _message(body: bytes) -> str:
    """Return the message of an error, which is in an envelope or is the body."""
    _, found, rest = body.decode(errors="replace").partition('"message"')
    return rest.partition('"')[2].partition('"')[0] if found else body.decode(errors="replace")
