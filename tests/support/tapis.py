"""A simulated Tapis over TCP, and tapipy as its client: unmodified, but every JSON answer is checked.

Blocking calls of tapipy belong into ``asyncio.to_thread``: the simulator shares the test's event loop.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

import aiohttp
from jsonschema import Draft4Validator  # type: ignore[import-untyped]

from flightline.tapis_simulator import StorageSystem, Tapis, serving

with warnings.catch_warnings():  # tapipy's dependencies are of another time
    warnings.simplefilter("ignore")
    import tapipy.tapis  # type: ignore[import-untyped]

P = ParamSpec("P")
R = TypeVar("R")

USER, PASSWORD = "tester", "tests-only"
CLIENT_ID, CLIENT_KEY = "flightline-tests", "key-of-the-tests"
CALLBACK = "http://127.0.0.1:1/callback"
UNDOCUMENTED = {401, 429, *range(500, 600)}
"""Codes that Tapis answers with whatever its specifications say."""


@dataclass(slots=True)
class TapisServer:
    """A running simulator, and what its clients got that does not fit tapipy's specifications."""

    tapis: Tapis
    url: str
    complaints: list[str] = field(default_factory=list)
    clients: list[Any] = field(default_factory=list)

    def client(self, **more: Any) -> Any:
        """Return a tapipy client of the test's user."""
        given = {
            "tenant_id": self.tapis.tenant,
            "username": USER,
            "password": PASSWORD,
            "client_id": CLIENT_ID,
            "client_key": CLIENT_KEY,
            **more,
        }
        client = tapis_client(self.url, **given)
        client.plugin_on_call_post_request_callables.append(self._check)
        self.clients.append(client)
        return client

    async def logged_in(self, **more: Any) -> Any:
        """Return a client that has its tokens."""
        client = self.client(**more)
        await asyncio.to_thread(client.get_tokens)
        return client

    def flight(
        self,
        system: str,
        name: str = "Flight1",
        images: int = 3,
        *,
        size_bytes: int = 1000,
        owner: str = USER,
    ) -> StorageSystem:
        """Put a flight of made-up images on a system, which is made if it is not there."""
        return self.tapis.add_flight(system, name, images, owner=owner, size_bytes=size_bytes)

    def content_url(self, system: str, path: str) -> str:
        """Return the URL of a file's bytes."""
        return f"{self.url}/v3/files/content/{system}/{quote(path)}"

    @asynccontextmanager
    async def http(self, user: str = USER) -> AsyncIterator[aiohttp.ClientSession]:
        """Open a session with a token of ``user``."""
        headers = {"X-Tapis-Token": self.tapis.issuer.access_token(user)}
        async with aiohttp.ClientSession(self.url, headers=headers) as session:
            yield session

    def _check(self, operation: Any, response: Any, **_more: Any) -> None:
        """Compare an answer with what tapipy's specification says about it."""
        name, code = operation.operation_id, response.status_code
        said = 201 if (name, code) == ("create_token", 200) else code
        specified = operation.op_desc["responses"].get(str(said))
        if specified is None:
            is_plain = (
                operation.resource_name in ("authenticator", "tenants") or "/transfers" in operation.path_name
            )
            if code not in UNDOCUMENTED and not (is_plain and code in (400, 403, 404)):
                self.complaints.append(f"{name}: undocumented {code}")
            return
        schema = specified.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None and response.headers["content-type"] == "application/json":
            answer = _without_nulls(response.json())
            wrong = Draft4Validator(schema).iter_errors(answer)
            self.complaints += [f"{name} {code}: {one.message}" for one in wrong]


def tapis_client(url: str, **given: Any) -> Any:
    """Return an unmodified client of tapipy."""
    return tapipy.tapis.Tapis(base_url=url, **given)


async def blocking(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Make a blocking call without holding the simulator up."""
    return await asyncio.to_thread(call, *args, **kwargs)


@asynccontextmanager
async def tapis_server(**settings: Any) -> AsyncIterator[TapisServer]:
    """Run a simulator with the tests' user and client; at the end no answer may be off specification."""
    tapis = Tapis(**settings)
    tapis.accounts.add_user(USER, PASSWORD)
    tapis.accounts.add_client(USER, client_id=CLIENT_ID, client_key=CLIENT_KEY, callback_url=CALLBACK)
    async with serving(tapis) as url:
        server = TapisServer(tapis, url)
        try:
            yield server
        finally:
            for client in server.clients:
                client.requests_session.close()
    assert server.complaints == []


@contextmanager
def refused(kind: str) -> Iterator[None]:
    """Expect tapipy to raise the error of this name."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - its classes share a base with everything else
        assert type(error).__name__ == kind, repr(error)  # noqa: PT017
    else:
        raise AssertionError(f"nothing was refused; {kind} was expected")


def _without_nulls(value: Any) -> Any:
    """Return JSON without nulls, which Tapis says where its specifications know none."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value if one is not None] if isinstance(value, list) else value
