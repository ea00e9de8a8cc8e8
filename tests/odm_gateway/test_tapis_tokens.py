"""Users of Tapis who send their access token as a node's token, as the origin's WebODM does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from odm_gateway.config import EngineKind, Settings
from odm_gateway.main import create_app
from odm_gateway.resources import SUBSCRIPTIONS
from shared.errors import InvalidInputError
from shared.platform import open_platform
from shared.service.serving import serving
from shared.settings import PlatformSettings
from tests.support.gateway import GatewayClient
from tests.support.tapis import USER, TapisServer, tapis_server

REFUSAL = {"error": "Invalid authentication token: token does not match."}


@dataclass
class World:
    """A gateway, and the tenant whose users it lets in."""

    gateway: GatewayClient
    tapis: TapisServer

    def token(self, user: str = USER, ttl_s: float = 60) -> str:
        """Return an access token of a user."""
        return self.tapis.tapis.issuer.access_token(user, ttl_s)

    async def uuids(self, token: str) -> list[str]:
        """Return the tasks that a token sees."""
        return [one["uuid"] for one in await self.gateway.get("/task/list", params={"token": token})]

    async def task(self, token: str) -> str:
        """Make a task and return its id."""
        made = await self.gateway.post(
            "/task/new", params={"token": token}, files={"images": ("1.jpg", b"1"), "name": (None, "Flight1")}
        )
        return str(made["uuid"])


@asynccontextmanager
async def world(home: Path, **settings: str | None) -> AsyncIterator[World]:
    async with tapis_server(tenant="tacc") as server:
        place = {"home": home, "tapis_url": server.url, "tapis_tenant": "tacc"}
        chosen = Settings(port=0, engine=EngineKind.SIMULATE, tapis_tokens=True, **settings)  # type: ignore[arg-type]
        async with (
            open_platform(PlatformSettings(**place), SUBSCRIPTIONS) as platform,  # type: ignore[arg-type]
            serving(create_app(chosen, platform), chosen) as url,
            httpx.AsyncClient(base_url=url, timeout=30) as http,
        ):
            yield World(GatewayClient(http, platform), server)


async def test_users_are_let_in_by_their_tapis_token_and_see_their_own_tasks(tmp_path: Path) -> None:
    async with world(tmp_path) as on:
        anns, bobs = on.token("ann"), on.token("bob")
        uuid = await on.task(anns)
        seen, others = await on.uuids(on.token("ann", 120)), await on.uuids(bobs)
        foreign = await on.gateway.get(f"/task/{uuid}/info", params={"token": bobs})

    assert (seen, others) == ([uuid], [])
    assert foreign == {"error": f"{uuid} not found"}


async def test_a_token_that_has_ended_or_is_forged_counts_for_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as on:
        genuine = on.token()
        head, claims, signature = genuine.split(".")
        bad = ["", "a.b.c", on.token(ttl_s=-60), f"{head}.{claims}.{signature[:-6]}AAAAAA", claims]
        said = [await on.gateway.get("/info", params={"token": token}) for token in bad]
        good = await on.gateway.get("/info", params={"token": genuine})

    assert said == [REFUSAL] * len(bad)
    assert "version" in good


async def test_the_tenant_is_asked_for_its_key_once_and_again_when_it_has_another(tmp_path: Path) -> None:
    async with world(tmp_path) as on:
        polls = [await on.gateway.get("/info", params={"token": on.token()}) for _ in range(20)]
        asked = on.tapis.tapis.calls.count("get_tenant")
        on.tapis.tapis.issuer.rotate_key()
        polls.append(await on.gateway.get("/info", params={"token": on.token()}))

    assert all("version" in answer for answer in polls)
    assert (asked, on.tapis.tapis.calls.count("get_tenant")) == (1, 2)


async def test_other_tokens_count_beside_those_of_tapis(tmp_path: Path) -> None:
    async with world(tmp_path, tokens="abc") as on:  # one token alone sees the tasks of all
        uuid = await on.task(on.token("ann"))
        seen = await on.uuids("abc")

    assert seen == [uuid]


async def test_tapis_tokens_need_a_tenant(tmp_path: Path) -> None:
    chosen = Settings(port=0, engine=EngineKind.SIMULATE, tapis_tokens=True)
    async with open_platform(PlatformSettings(home=tmp_path), SUBSCRIPTIONS) as platform:
        with pytest.raises((InvalidInputError, BaseExceptionGroup)) as raised:
            async with serving(create_app(chosen, platform), chosen):
                pass

    assert "FLIGHTLINE_TAPIS_URL" in repr(raised.value)
