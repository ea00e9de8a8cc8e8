"""Discovery with a simulated Tapis tenant, and browsers that log in there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from discovery.resources import SUBSCRIPTIONS
from shared.platform import Platform, open_platform
from shared.settings import PlatformSettings
from tests.discovery.conftest import DiscoveryClient, running_discovery
from tests.support.listening import TELLING
from tests.support.processes import free_port
from tests.support.tapis import PASSWORD, USER, TapisServer, tapis_server

CLIENT_ID, CLIENT_KEY = "flightline-discovery", "the-key-of-discovery"
SERVICE_TOKEN, INTERNAL_TOKEN = "token-of-the-operator", "token-of-the-services"
SYSTEM = "ptdatax.project.PTDATAX-1"
OWNER = f"{USER}@tacc"
BOB, BOBS_PASSWORD = "bob", "bob-only"
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@dataclass(frozen=True, slots=True)
class World:
    """A tenant, discovery, and those who use it."""

    tapis: TapisServer
    discovery: DiscoveryClient
    platform: Platform
    url: str

    @property
    def http(self) -> httpx.AsyncClient:
        """Return a client that shows nothing."""
        return self.discovery.http

    def as_user(self, user: str = USER) -> dict[str, str]:
        """Return headers with a token of Tapis."""
        return {"X-Tapis-Token": self.tapis.tapis.issuer.access_token(user)}

    async def post(self, path: str, body: Any = None, user: str = USER) -> Any:
        """Post as a user."""
        return await self.http.post(path, json=body, headers=self.as_user(user))

    async def get(self, path: str, user: str = USER) -> Any:
        """Get as a user."""
        return await self.http.get(path, headers=self.as_user(user))

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        """Open a browser without cookies."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as browser:
            yield browser

    async def to_callback(
        self, browser: httpx.AsyncClient, user: str = USER, approve: str = "yes", after: str = ""
    ) -> str:
        """Log in at Tapis and return where it sends the browser back to."""
        path = f"/api/oauth2/tapis/authorize/{CLIENT_ID}/"
        page = await browser.get(path, params={"redirect_after": after} if after else {})
        assert page.status_code == 302, page.text
        page = await browser.get(page.headers["location"])
        if page.status_code == 302:
            page = await browser.get(f"{self.tapis.url}{page.headers['location']}")
            password = PASSWORD if user == USER else BOBS_PASSWORD
            form = dict(_HIDDEN.findall(page.text)) | {"username": user, "password": password}
            page = await browser.post(f"{self.tapis.url}/v3/oauth2/login", data=form)
            page = await browser.get(f"{self.tapis.url}{page.headers['location']}")
        form = dict(_HIDDEN.findall(page.text)) | {"approve": approve}
        page = await browser.post(f"{self.tapis.url}/v3/oauth2/authorize", data=form)
        assert page.status_code == 302, page.text
        return page.headers["location"]

    async def log_in(self, browser: httpx.AsyncClient, user: str = USER, after: str = "") -> httpx.Response:
        """Log in, and return the answer to the callback."""
        answer = await browser.get(await self.to_callback(browser, user, after=after))
        assert answer.status_code == 302, answer.text
        return answer


@asynccontextmanager
async def tenant(
    home: Path, *, platform_settings: Mapping[str, Any] | None = None, **more: Any
) -> AsyncIterator[tuple[TapisServer, Platform, str]]:
    """Run a tenant, with backends that know of it, and a URL for discovery."""
    url = f"http://127.0.0.1:{free_port()}"
    async with tapis_server(tenant="tacc", **more) as server:
        server.tapis.accounts.add_user(BOB, BOBS_PASSWORD)
        server.tapis.accounts.add_client(
            USER,
            client_id=CLIENT_ID,
            client_key=CLIENT_KEY,
            callback_url=f"{url}/api/oauth2/tapis/callback/",
        )
        settings = PlatformSettings(
            home=home,
            tapis_url=server.url,
            tapis_tenant="tacc",
            tapis_client_id=CLIENT_ID,
            tapis_client_key=SecretStr(CLIENT_KEY),
            internal_token=SecretStr(INTERNAL_TOKEN),
            **(platform_settings or {}),
        )
        async with open_platform(settings, (*SUBSCRIPTIONS, *TELLING)) as platform:
            yield server, platform, url


@asynccontextmanager
async def world(
    home: Path, *, platform_settings: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[World]:
    """Run a tenant and discovery."""
    async with tenant(home) as (server, platform, url):
        changed = platform.settings.model_copy(update=platform_settings or {})
        chosen = {"token": SecretStr(SERVICE_TOKEN), "public_url": url, "port": int(url.rpartition(":")[2])}
        on = replace(platform, settings=changed)
        async with running_discovery(on, **(chosen | settings)) as discovery:
            yield World(server, discovery, on, url)


async def created(on: World, body: Any = None, user: str = USER) -> dict[str, Any]:
    """Have projects made, of all flights if nothing is said, and return the results."""
    answer = await on.post("/api/tapis-storage/create-projects/", body or {"auto_discover": True}, user)
    assert answer.status_code == 200, answer.text
    results: dict[str, Any] = answer.json()["results"]
    return results
