from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.settings import PlatformSettings
from shared.sources import LoginNeededError
from shared.tapis.api import TapisApi
from shared.tapis.grants import GrantRefusedError, OAuthClient, grant
from shared.tapis.internal import internal_token
from shared.tapis.tokens import ByOwner, FromDiscovery, ServiceAccount, from_discovery
from tests.shared.tapis.clients import service_account
from tests.support.tapis import CLIENT_ID, CLIENT_KEY, PASSWORD, USER, TapisServer, tapis_server

OWNER = "tester@portals"
INTERNAL = SecretStr("internal-token-of-the-tests")


@pytest.fixture
async def api(server: TapisServer) -> AsyncIterator[TapisApi]:
    opened = TapisApi(server.url, server.tapis.tenant)
    yield opened
    opened.close()


async def test_a_service_account_logs_in_once_for_all(server: TapisServer, api: TapisApi) -> None:
    tokens = service_account(api)
    given = await asyncio.gather(*(tokens.token("") for _ in range(20)))

    assert len(set(given)) == 1
    assert server.tapis.calls.by_operation["create_token"] == 1


async def test_a_rejected_token_is_renewed_once_however_many_ask(server: TapisServer, api: TapisApi) -> None:
    tokens = service_account(api)
    rejected = await tokens.token("")
    given = await asyncio.gather(*(tokens.renewed("", rejected) for _ in range(20)))

    assert len(set(given)) == 1
    assert given[0] != rejected
    assert server.tapis.calls.by_operation["create_token"] == 2


async def test_a_token_is_renewed_before_it_expires() -> None:
    async with tapis_server(access_ttl_s=4) as server:
        api = TapisApi(server.url, server.tapis.tenant)
        tokens = service_account(api)
        first = await tokens.token("")
        await asyncio.sleep(3.2)
        second = await tokens.token("")
        api.close()

    assert first != second


async def test_a_wrong_password_says_which_settings_to_check(api: TapisApi) -> None:
    tokens = ServiceAccount(api, USER, SecretStr("wrong"), OAuthClient(CLIENT_ID, SecretStr(CLIENT_KEY)))

    with pytest.raises(LoginNeededError, match="FLIGHTLINE_TAPIS_PASSWORD") as raised:
        await tokens.token("")
    assert CLIENT_KEY not in str(raised.value)


async def test_a_refresh_token_gives_another_pair(api: TapisApi) -> None:
    client = OAuthClient(CLIENT_ID, SecretStr(CLIENT_KEY))
    first = await grant(api, client, "password", username=USER, password=PASSWORD)
    assert first.refresh_token is not None
    second = await grant(api, client, "refresh_token", refresh_token=first.refresh_token)

    assert second.access_token != first.access_token
    assert second.refresh_token is not None
    assert second.expires_at > datetime.now(UTC) + timedelta(hours=3)
    assert first.access_token not in repr(first)


async def test_a_dead_refresh_token_is_refused_without_what_tapis_says(
    server: TapisServer, api: TapisApi
) -> None:
    client = OAuthClient(CLIENT_ID, SecretStr(CLIENT_KEY))
    first = await grant(api, client, "password", username=USER, password=PASSWORD)
    server.tapis.issuer.end_all("refresh")

    with pytest.raises(GrantRefusedError) as raised:
        await grant(api, client, "refresh_token", refresh_token=first.refresh_token or "")
    assert "status 400" in str(raised.value)
    assert str(first.refresh_token) not in str(vars(raised.value))


async def test_a_client_key_that_is_wrong_is_not_told(api: TapisApi) -> None:
    wrong = OAuthClient(CLIENT_ID, SecretStr("guessed-key"))

    with pytest.raises(GrantRefusedError) as raised:
        await grant(api, wrong, "password", username=USER, password=PASSWORD)
    seen, error = [], raised.value
    while error is not None:
        seen.append(f"{error!r} {vars(error)}")
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    assert "guessed-key" not in " ".join(seen)


async def test_a_busy_authenticator_is_worth_another_try(server: TapisServer, api: TapisApi) -> None:
    server.tapis.faults.switch_on("status", status=503, operation="create_token")

    with pytest.raises(TransientError):
        await service_account(api).token("")


@dataclass
class Discovery:
    """A server that answers as discovery does."""

    answers: list[tuple[int, Any]]
    asked: list[dict[str, Any]] = field(default_factory=list)
    bearers: set[str | None] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        self.bearers.add(request.headers.get("Authorization"))
        status, body = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return web.json_response(body, status=status)


@asynccontextmanager
async def asking(discovery: Discovery) -> AsyncIterator[FromDiscovery]:
    application = web.Application()
    application.router.add_post("/internal/tapis-tokens", discovery.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with from_discovery(url, INTERNAL) as tokens:
        yield tokens
    await runner.cleanup()


def token(name: str) -> tuple[int, Any]:
    return 200, {"access_token": name, "expires_at": (datetime.now(UTC) + timedelta(hours=4)).isoformat()}


async def test_discovery_is_asked_once_for_a_users_token() -> None:
    discovery = Discovery([token("first"), token("second")])
    async with asking(discovery) as tokens:
        assert await tokens.token(OWNER) == "first"
        assert await tokens.token(OWNER) == "first"
        assert await asyncio.gather(*(tokens.renewed(OWNER, "first") for _ in range(5))) == ["second"] * 5

    assert discovery.asked == [{"owner": OWNER}, {"owner": OWNER, "rejected": "first"}]
    assert discovery.bearers == {f"Bearer {INTERNAL.get_secret_value()}"}


@pytest.mark.parametrize("status", [404, 409, 410])
async def test_what_discovery_says_to_the_user_is_passed_on(status: int) -> None:
    async with asking(Discovery([(status, {"error": "log in again at https://x/"})])) as tokens:
        with pytest.raises(LoginNeededError, match="log in again at https://x/"):
            await tokens.token(OWNER)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, {}), PermanentError),
        ((403, {}), PermanentError),
        ((500, {}), TransientError),
        ((503, {}), TransientError),
        ((200, {}), TransientError),
        ((200, ["nonsense"]), TransientError),
        ((200, {"access_token": "a", "expires_at": "soon"}), TransientError),
    ],
)
async def test_other_answers_of_discovery_are_errors(answer: tuple[int, Any], error: type[Exception]) -> None:
    async with asking(Discovery([answer])) as tokens:
        with pytest.raises(error) as raised:
            await tokens.token(OWNER)
    assert INTERNAL.get_secret_value() not in str(raised.value)


async def test_a_discovery_that_is_down_is_worth_another_try() -> None:
    async with from_discovery("http://127.0.0.1:1", INTERNAL) as tokens:
        with pytest.raises(TransientError, match="out of reach"):
            await tokens.token(OWNER)


async def test_nobody_in_particular_is_the_service_account(api: TapisApi) -> None:
    service = service_account(api)
    async with asking(Discovery([token("users")])) as users:
        both = ByOwner(service, users)
        assert await both.token("") == await service.token("")
        assert await both.token(OWNER) == "users"
        with pytest.raises(LoginNeededError, match="FLIGHTLINE_TAPIS_USERNAME"):
            await ByOwner(None, users).token("")


def test_services_of_one_host_share_a_token_that_only_they_can_read(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path / "home")
    first, again = internal_token(settings), internal_token(settings)

    assert first == again
    assert len(first.get_secret_value()) > 40
    (file,) = (tmp_path / "home").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


async def test_however_many_make_the_token_it_is_one(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path)
    made = await asyncio.gather(*(asyncio.to_thread(internal_token, settings) for _ in range(16)))

    assert len({secret.get_secret_value() for secret in made}) == 1


def test_a_token_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidInputError, match="FLIGHTLINE_INTERNAL_TOKEN"):
        internal_token(PlatformSettings(home=tmp_path / "file" / "home"))


def test_a_token_that_is_set_counts(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path, internal_token=INTERNAL)

    assert internal_token(settings) == INTERNAL
    assert list(tmp_path.iterdir()) == []
