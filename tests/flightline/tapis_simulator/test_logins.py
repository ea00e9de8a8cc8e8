"""Logging in to the simulated Tapis: by password, browser, device and refresh token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest

from flightline.tapis_simulator.tokens import Grant
from tests.support.tapis import (
    CALLBACK,
    CLIENT_ID,
    CLIENT_KEY,
    PASSWORD,
    USER,
    TapisServer,
    blocking,
    refused,
    tapis_server,
)

BASIC = {"Authorization": aiohttp.encode_basic_auth(CLIENT_ID, CLIENT_KEY)}
ASKING = {"client_id": CLIENT_ID, "redirect_uri": CALLBACK, "response_type": "code", "state": "s t&te"}


@pytest.fixture
async def server() -> AsyncIterator[TapisServer]:
    async with tapis_server() as running:
        yield running


@pytest.fixture
async def browser(server: TapisServer) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)  # for an address without a name
    async with aiohttp.ClientSession(server.url, cookie_jar=jar) as session:
        yield session


def hidden(page: str, name: str) -> str:
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]


async def approved(browser: aiohttp.ClientSession, **more: str) -> dict[str, list[str]]:
    """Log in, say yes, and return what the callback would be told."""
    asking = {**ASKING, **more}
    login = {**asking, "username": USER, "password": PASSWORD}
    async with browser.post("/v3/oauth2/login", data=login) as answer:
        consent = {**asking, "approve": "yes", "csrf": hidden(await answer.text(), "csrf")}
    async with browser.post("/v3/oauth2/authorize", data=consent, allow_redirects=False) as answer:
        assert answer.status == 302
        assert answer.headers["Location"].startswith(CALLBACK)
        return parse_qs(urlsplit(answer.headers["Location"]).query)


async def answered(server: TapisServer, headers: dict[str, str]) -> tuple[int, str]:
    """Return status and content type of a request for systems."""
    async with aiohttp.ClientSession(server.url) as http, http.get("/v3/systems", headers=headers) as answer:
        return answer.status, answer.content_type


async def posted(session: aiohttp.ClientSession, body: dict[str, str], **more: Any) -> tuple[int, Any]:
    async with session.post("/v3/oauth2/tokens", json=body, **more) as answer:
        return answer.status, await answer.json()


async def test_tapipy_logs_in_by_password(server: TapisServer) -> None:
    client = await server.logged_in()

    assert client.access_token.claims["sub"] == f"{USER}@portals"
    assert client.access_token.expires_in().total_seconds() == pytest.approx(14_400, abs=60)


async def test_tapipy_finds_the_tenant_by_itself(server: TapisServer) -> None:
    client = await blocking(server.client, tenant_id=None)
    await blocking(client.get_tokens)

    assert client.tenant_id == "portals"


async def test_tokens_are_signed_with_the_tenant_s_key_and_carry_its_claims(server: TapisServer) -> None:
    client = await server.logged_in()
    tenant = await blocking(client.tenants.get_tenant, tenant_id="portals")

    claims = jwt.decode(client.access_token.access_token, tenant.public_key, algorithms=["RS256"])

    assert claims["iss"] == f"{server.url}/v3/tokens"
    assert claims["tapis/token_type"] == "access"
    assert claims["tapis/account_type"] == "user"
    assert claims["tapis/username"] == USER
    assert claims["tapis/client_id"] == CLIENT_ID


async def test_a_refresh_token_names_its_user_only_inside(server: TapisServer) -> None:
    client = await server.logged_in()

    claims = client.refresh_token.claims

    assert "tapis/username" not in claims
    assert claims["tapis/access_token"]["tapis/username"] == USER
    assert claims["tapis/initial_ttl"] == 31_536_000


async def test_without_a_client_there_is_no_refresh_token(server: TapisServer) -> None:
    client = await server.logged_in(client_id=None, client_key=None)

    assert client.refresh_token is None


async def test_refreshing_gives_new_tokens_and_the_old_ones_stay_good(server: TapisServer) -> None:
    client = await server.logged_in()
    old = client.refresh_token.refresh_token
    await blocking(client.refresh_tokens)

    assert client.refresh_token.refresh_token != old
    assert client.access_token.claims["tapis/refresh_count"] == 1
    assert server.tapis.issuer.grant_of(old).username == USER


async def test_tapipy_refreshes_by_itself_before_a_token_ends(server: TapisServer) -> None:
    client = await server.logged_in()
    client.access_token.expires_at = datetime.now(UTC) + timedelta(seconds=3)

    await blocking(client.systems.getSystems)

    assert server.tapis.calls.count("create_token") == 2


async def test_a_wrong_password_is_a_bad_request(server: TapisServer) -> None:
    with refused("BadRequestError"):
        await server.logged_in(password="guessed")


async def test_a_wrong_client_is_told_with_its_key_in_the_message(server: TapisServer) -> None:
    async with aiohttp.ClientSession(server.url) as session:
        body = {"grant_type": "password", "username": USER, "password": PASSWORD}
        wrong = {"Authorization": aiohttp.encode_basic_auth(CLIENT_ID, "wrong-key")}
        status, answer = await posted(session, body, headers=wrong)

    assert status == 400
    assert "wrong-key" in answer["message"]


async def test_a_revoked_refresh_token_is_a_bad_request(server: TapisServer) -> None:
    client = await server.logged_in()
    await blocking(client.authenticator.revoke_token, token=client.refresh_token.refresh_token)

    with refused("BadRequestError"):
        await blocking(client.refresh_tokens)


async def test_refreshing_needs_the_client_s_key(server: TapisServer) -> None:
    tokens = server.tapis.issuer.issue(Grant(USER, "password", CLIENT_ID))
    body = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]["refresh_token"]}
    async with aiohttp.ClientSession(server.url) as session:
        status, _ = await posted(session, body)

    assert status == 400


@pytest.mark.parametrize("token", [None, "", "garbage", "a.b.c"])
async def test_services_answer_401_in_bare_text_without_a_good_token(
    server: TapisServer, token: str | None
) -> None:
    headers = {} if token is None else {"X-Tapis-Token": token}
    status, kind = await answered(server, headers)

    assert status == 401
    assert kind == "text/plain"


async def test_a_bearer_token_does_not_count(server: TapisServer) -> None:
    headers = {"Authorization": f"Bearer {server.tapis.issuer.access_token(USER)}"}
    status, _ = await answered(server, headers)

    assert status == 401


async def test_a_refresh_token_opens_nothing(server: TapisServer) -> None:
    client = await server.logged_in()
    client.access_token.access_token = client.refresh_token.refresh_token

    with refused("UnauthorizedError"):
        await blocking(client.systems.getSystems)


async def test_a_token_that_ended_opens_nothing(server: TapisServer) -> None:
    token = server.tapis.issuer.access_token(USER, ttl_s=-1)
    status, _ = await answered(server, {"X-Tapis-Token": token})

    assert status == 401


async def test_a_token_of_another_key_opens_nothing(server: TapisServer) -> None:
    claims = jwt.decode(server.tapis.issuer.access_token(USER), options={"verify_signature": False})
    forged = jwt.encode({**claims, "exp": time.time() + 99}, "x" * 32, "HS256")
    status, _ = await answered(server, {"X-Tapis-Token": forged})

    assert status == 401


async def test_the_user_is_told(server: TapisServer) -> None:
    client = await server.logged_in()

    assert (await blocking(client.authenticator.get_userinfo)).username == USER


async def test_clients_are_made_listed_and_deleted(server: TapisServer) -> None:
    client = await server.logged_in()
    made = await blocking(client.authenticator.create_client, callback_url="http://localhost/back")
    listed = await blocking(client.authenticator.list_clients)
    await blocking(client.authenticator.delete_client, client_id=made.client_id)

    assert {one.client_id for one in listed} == {CLIENT_ID, made.client_id}
    assert set(server.tapis.accounts.clients) == {CLIENT_ID}


async def test_another_user_s_client_cannot_be_read(server: TapisServer) -> None:
    server.tapis.accounts.add_client("somebody", client_id="foreign")
    client = await server.logged_in()

    with refused("BadRequestError"):
        await blocking(client.authenticator.get_client, client_id="foreign")


async def test_the_metadata_are_told_at_both_places(
    server: TapisServer, browser: aiohttp.ClientSession
) -> None:
    client = await server.logged_in()
    nested = await blocking(client.authenticator.get_server_metadata)
    async with browser.get("/.well-known/oauth-authorization-server") as answer:
        plain = await answer.json()

    assert nested.authorization_endpoint == plain["authorization_endpoint"]
    assert plain["token_endpoint"].endswith("/v3/oauth2/token")


async def test_a_browser_without_a_session_is_sent_to_the_login(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/v3/oauth2/authorize", params=ASKING) as answer:
        assert answer.url.path == "/v3/oauth2/login"
        assert 'name="password"' in await answer.text()


async def test_a_code_from_a_browser_becomes_tokens_once(browser: aiohttp.ClientSession) -> None:
    told = await approved(browser)
    body = {"grant_type": "authorization_code", "code": told["code"][0], "redirect_uri": CALLBACK}
    first, again = await posted(browser, body, headers=BASIC), await posted(browser, body, headers=BASIC)

    assert told["state"] == ["s t&te"]
    assert first[0] == 200
    assert first[1]["result"]["refresh_token"]["refresh_token"]
    assert again[0] == 400


async def test_a_code_is_good_for_its_redirect_uri_alone(browser: aiohttp.ClientSession) -> None:
    code = (await approved(browser))["code"][0]
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": "http://evil.example/"}

    assert (await posted(browser, body, headers=BASIC))[0] == 400


async def test_the_implicit_flow_gives_the_token_to_the_browser(browser: aiohttp.ClientSession) -> None:
    told = await approved(browser, response_type="token")

    assert jwt.decode(told["access_token"][0], options={"verify_signature": False})["tapis/username"] == USER


@pytest.mark.parametrize(
    "wrong", [{"client_id": "nobody"}, {"redirect_uri": "http://evil.example/"}, {"response_type": "magic"}]
)
async def test_a_browser_is_not_sent_where_it_does_not_belong(
    browser: aiohttp.ClientSession, wrong: dict[str, str]
) -> None:
    async with browser.get("/v3/oauth2/authorize", params={**ASKING, **wrong}) as answer:
        assert answer.status == 400
        assert not answer.history


async def test_a_consent_from_elsewhere_is_refused(browser: aiohttp.ClientSession) -> None:
    await approved(browser)
    forged = {**ASKING, "approve": "yes", "csrf": "guessed"}
    async with browser.post("/v3/oauth2/authorize", data=forged) as answer:
        assert answer.status == 400


async def test_what_a_page_repeats_cannot_break_out_of_it(browser: aiohttp.ClientSession) -> None:
    asking = {**ASKING, "state": '"><script>alert(1)</script>'}
    async with browser.get("/v3/oauth2/authorize", params=asking) as answer:
        assert "<script>" not in await answer.text()


async def test_a_device_gets_its_tokens_once_the_user_typed_the_code(
    server: TapisServer, browser: aiohttp.ClientSession
) -> None:
    client = await blocking(server.client)
    device = await blocking(client.authenticator.generate_device_code, client_id=CLIENT_ID)
    body = {"grant_type": "device_code", "client_id": CLIENT_ID, "device_code": device.device_code}
    early, _ = await posted(browser, body)
    await approved(browser)
    async with browser.post("/v3/oauth2/device", data={"user_code": device.user_code}) as answer:
        assert answer.status == 200

    assert early == 400
    assert (await posted(browser, body))[0] == 200


async def test_many_log_in_at_once(server: TapisServer) -> None:
    clients = await asyncio.gather(*(server.logged_in() for _ in range(8)))

    assert len({client.access_token.claims["jti"] for client in clients}) == 8
