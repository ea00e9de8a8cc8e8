from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from discovery.collections import LOGINS, OAUTH_STATES
from discovery.domain.logins import Login, OAuthState, digest
from discovery.domain.principals import SESSION_COOKIE
from discovery.routes import internal
from discovery.routes.tapis_oauth import BROWSER_COOKIE
from flightline.tapis_simulator.tokens import Grant
from shared.state import Collection
from shared.tapis.tokens import INTERNAL_PATH
from tests.discovery.tapis import (
    BOB,
    CLIENT_ID,
    CLIENT_KEY,
    INTERNAL_TOKEN,
    OWNER,
    SERVICE_TOKEN,
    SYSTEM,
    World,
    world,
)
from tests.support.tapis import USER

AUTHORIZE = f"/api/oauth2/tapis/authorize/{CLIENT_ID}/"
STATUS = "/api/oauth2/tapis/status/"
REFRESH = f"/api/oauth2/tapis/refresh/{CLIENT_ID}/"
REVOKE = f"/api/oauth2/tapis/revoke/{CLIENT_ID}/"


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home", allowed_origins=("https://odm.example.org",)) as opened:
        yield opened


async def test_a_login_ends_in_a_session(on: World) -> None:
    async with on.browser() as browser:
        answer = await on.log_in(browser)
        status = (await browser.get(STATUS)).json()

    assert answer.headers["location"] == STATUS
    assert status["user"] == OWNER
    (token,) = status["tokens"]
    assert (token["client_id"], token["tenant_id"], token["is_valid"]) == (CLIENT_ID, "tacc", True)
    assert datetime.fromisoformat(token["expires_at"]) > datetime.now(UTC)


async def test_cookies_are_for_this_site_and_not_for_scripts(on: World) -> None:
    async with on.browser() as browser:
        begun = await browser.get(AUTHORIZE)
        ended = await on.log_in(browser)

    for answer, name in ((begun, BROWSER_COOKIE), (ended, SESSION_COOKIE)):
        (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith(name)]
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        assert "secure" not in cookie.lower()


async def test_behind_https_cookies_travel_encrypted_only(tmp_path: Path) -> None:
    async with world(tmp_path / "home", public_url="https://flights.example.org", port=0) as on:
        answer = await on.http.get(AUTHORIZE)

    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert "Secure" in answer.headers["set-cookie"]
    assert asked["redirect_uri"] == ["https://flights.example.org/api/oauth2/tapis/callback/"]


async def test_a_post_tells_where_a_browser_logs_in(on: World) -> None:
    begun = (await on.http.post(AUTHORIZE, params={"redirect_after": "/api/flights/"})).json()
    async with on.browser() as browser:
        page = await browser.get(begun["authorization_url"])

    assert (begun["success"], page.status_code) == (True, 302)
    assert page.headers["location"].startswith(f"{on.tapis.url}/v3/oauth2/authorize?")


async def test_another_browser_cannot_end_a_login(on: World) -> None:
    async with on.browser() as mine, on.browser() as theirs:
        callback = await on.to_callback(mine)
        await theirs.get(AUTHORIZE)
        stolen = await theirs.get(callback)
        own = await mine.get(callback)

    assert (stolen.status_code, own.status_code) == (400, 302)
    assert stolen.json()["error"].startswith("This login was not begun in this browser")
    assert SESSION_COOKIE not in stolen.headers.get("set-cookie", "")


async def test_a_state_is_good_once(on: World) -> None:
    async with on.browser() as browser:
        await browser.get(AUTHORIZE)
        begun = dict(browser.cookies)
        callback = await on.to_callback(browser)
        cookie = {"Cookie": f"{BROWSER_COOKIE}={browser.cookies[BROWSER_COOKIE]}"}
        answers = await asyncio.gather(*(on.http.get(callback, headers=cookie) for _ in range(5)))

    assert begun
    assert sorted(answer.status_code for answer in answers) == [302, 400, 400, 400, 400]


async def test_a_state_is_good_for_ten_minutes(on: World) -> None:
    async with on.browser() as browser:
        callback = await on.to_callback(browser)
        state = parse_qs(urlsplit(callback).query)["state"][0]
        states = Collection(on.platform.store, OAUTH_STATES, OAuthState)
        kept = (await states.load(digest(state))).body
        now = datetime.now(UTC)
        await states.update(digest(state), lambda one: one.model_copy(update={"expires_at": now}))
        answer = await browser.get(callback)

    assert 590 < (kept.expires_at - now).total_seconds() < 601
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.org/",
        "//evil.example.org",
        "/\\evil.example.org",
        "https://odm.example.org.evil.example.org/",
        "https://odm.example.org@evil.example.org/",
        "javascript:alert(1)",
        "/\n/evil",
        "http://[",
    ],
)
async def test_nobody_is_sent_elsewhere_after_a_login(on: World, target: str) -> None:
    for answer in (
        await on.http.get(AUTHORIZE, params={"redirect_after": target}),
        await on.http.post(AUTHORIZE, params={"redirect_after": target}),
    ):
        assert answer.status_code == 400
        assert "redirect_after" in answer.json()["error"]


@pytest.mark.parametrize("target", ["/api/flights/?state=failed", "https://odm.example.org/map#x"])
async def test_a_login_leads_where_it_was_asked_to(on: World, target: str) -> None:
    async with on.browser() as browser:
        answer = await on.log_in(browser, after=target)

    assert answer.headers["location"] == target


async def test_a_user_who_says_no_is_told_so(on: World) -> None:
    async with on.browser() as browser:
        answer = await browser.get(await on.to_callback(browser, approve="no"))

    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert answer.json()["error"].startswith("You did not let Flightline act for you")


async def test_a_code_that_tapis_does_not_know_is_a_sentence(on: World) -> None:
    async with on.browser() as browser:
        callback = await on.to_callback(browser)
        code = parse_qs(urlsplit(callback).query)["code"][0]
        answer = await browser.get(callback.replace(code, "another"))

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Tapis did not accept the code")
    assert CLIENT_KEY not in answer.text


@pytest.mark.parametrize("query", ["", "?code=x", "?state=y", "?code=x&state=y", "?error=z", "?code=%00"])
async def test_a_callback_that_nobody_waits_for_is_refused(on: World, query: str) -> None:
    answer = await on.http.get(f"/api/oauth2/tapis/callback/{query}")

    assert (answer.status_code, answer.json()["success"]) == (400, False)


async def test_an_unknown_client_is_not_found(on: World) -> None:
    for path in ("authorize", "refresh", "revoke"):
        answer = await on.http.post(f"/api/oauth2/tapis/{path}/nobody/", headers=on.as_user())
        assert answer.status_code == 404, path


async def test_tokens_are_sealed_at_rest(on: World) -> None:
    async with on.browser() as browser:
        await on.log_in(browser)
    record = await on.platform.store.get(LOGINS.name, digest(OWNER))
    key = Path(on.platform.settings.home / "secrets-key")
    stored = b"".join(path.read_bytes() for path in Path(on.platform.settings.home).glob("state.db*"))

    assert record is not None
    assert record.body["access_token"].startswith("v1.")
    assert record.body["refresh_token"].startswith("v1.")
    assert b"eyJ" not in stored
    assert key.stat().st_mode & 0o777 == 0o600


async def test_a_token_near_its_end_is_renewed_ahead_of_time(on: World) -> None:
    async with on.browser() as browser:
        await on.log_in(browser)
    await aged(on)
    given = await internally(on, {"owner": OWNER})
    again = await internally(on, {"owner": OWNER})

    assert given["access_token"] == again["access_token"]
    assert datetime.fromisoformat(given["expires_at"]) > datetime.now(UTC)
    assert tokens_asked(on) == 2


async def test_a_rejected_token_is_renewed_once_however_many_ask(on: World) -> None:
    async with on.browser() as browser:
        await on.log_in(browser)
    rejected = (await internally(on, {"owner": OWNER}))["access_token"]
    asked = [internally(on, {"owner": OWNER, "rejected": rejected}) for _ in range(10)]
    given = {answer["access_token"] for answer in await asyncio.gather(*asked)}

    assert len(given) == 1
    assert rejected not in given
    assert tokens_asked(on) == 2


async def test_a_dead_refresh_token_says_log_in_again(on: World) -> None:
    async with on.browser() as browser:
        await on.log_in(browser)
        on.tapis.tapis.issuer.end_all("access")
        on.tapis.tapis.issuer.end_all("refresh")
        rejected = "eyJ.not.it"
        await aged(on)
        refused = await on.http.post(
            INTERNAL_PATH, json={"owner": OWNER, "rejected": rejected}, headers=bearer(INTERNAL_TOKEN)
        )
        status = (await browser.get(STATUS)).json()
        systems = await browser.get("/api/tapis-storage/systems/")
        refreshed = await browser.post(REFRESH)
        await on.log_in(browser)
        recovered = (await browser.get(STATUS)).json()

    assert refused.status_code == 409
    assert f"log in again at {on.url}{AUTHORIZE}" in refused.json()["error"]
    assert (status["tokens"][0]["is_valid"], status["tokens"][0]["state"]) == (False, "login needed")
    assert [answer.status_code for answer in (systems, refreshed)] == [401, 401]
    assert recovered["tokens"][0]["is_valid"] is True


async def test_tapis_out_of_reach_does_not_end_a_login(on: World) -> None:
    async with on.browser() as browser:
        await on.log_in(browser)
        on.tapis.tapis.faults.switch_on("status", operation="create_token", status=503, times=None)
        answer = await browser.post(REFRESH)
        on.tapis.tapis.faults.clear()
        again = await browser.post(REFRESH)

    assert (answer.status_code, again.status_code) == (503, 200)


async def test_revoking_ends_it_at_tapis_too(on: World) -> None:
    async with on.browser() as browser:
        await on.log_in(browser)
        token = (await internally(on, {"owner": OWNER}))["access_token"]
        answer = (await browser.post(REVOKE)).json()
        after = await on.http.get("/api/tapis-storage/systems/", headers=bearer(token))
        session = await browser.get(STATUS)

    assert (answer["success"], answer["revoked_at_tapis"]) == (True, True)
    assert (after.status_code, session.status_code) == (401, 401)


async def test_there_is_nothing_to_renew_or_revoke_without_a_login(on: World) -> None:
    answers = [await on.post(path) for path in (REFRESH, REVOKE)]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_a_page_of_another_site_cannot_act_with_the_cookie(on: World) -> None:
    async with on.browser() as browser:
        await on.log_in(browser)
        refused = [
            await browser.post(REFRESH, headers={"Origin": "https://evil.example.org"}),
            await browser.post(REFRESH, headers={"Origin": "null"}),
            await browser.post(REFRESH, headers={"Sec-Fetch-Site": "cross-site"}),
        ]
        taken = [
            await browser.post(REFRESH, headers={"Origin": on.url}),
            await browser.post(REFRESH, headers={"Origin": "https://odm.example.org"}),
            await browser.post(REFRESH, headers={"Sec-Fetch-Site": "same-origin"}),
        ]

    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert [answer.status_code for answer in taken] == [200, 200, 200]


@pytest.mark.parametrize("path", ["/api/tapis-storage/systems/", "/api/flights/", STATUS, "/api/progress"])
async def test_whoever_shows_nothing_or_nonsense_is_nobody(on: World, path: str) -> None:
    expired = on.tapis.tapis.issuer.access_token(USER, ttl_s=-100)
    issued = on.tapis.tapis.issuer.issue(Grant(USER, "password", CLIENT_ID))
    refresh = issued["refresh_token"]["refresh_token"]
    shown: list[dict[str, str]] = [
        {},
        bearer("nonsense"),
        bearer("a.b.c"),
        bearer(expired),
        bearer(refresh),
        {"X-Tapis-Token": f"{on.as_user()['X-Tapis-Token'][:-4]}AAAA"},
        {"Cookie": f"{SESSION_COOKIE}=guessed"},
    ]
    answers = [await on.http.get(path, headers=headers) for headers in shown]

    assert [answer.status_code for answer in answers] == [401] * len(shown)
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)


async def test_a_token_may_come_either_way(on: World) -> None:
    on.tapis.flight(SYSTEM)
    token = on.as_user()["X-Tapis-Token"]
    for headers in (bearer(token), {"X-Tapis-Token": token}, {"Authorization": f"JWT {token}"}):
        answer = await on.http.get("/api/tapis-storage/systems/", headers=headers)
        assert (answer.status_code, answer.json()["count"]) == (200, 1)


async def test_a_token_that_came_along_is_lent_to_ingest_until_its_end(on: World) -> None:
    await on.get("/api/tapis-storage/systems/", BOB)
    given = await internally(on, {"owner": f"{BOB}@tacc"})
    refused = await on.http.post(
        INTERNAL_PATH,
        json={"owner": f"{BOB}@tacc", "rejected": given["access_token"]},
        headers=bearer(INTERNAL_TOKEN),
    )

    assert given["access_token"].count(".") == 2
    assert refused.status_code == 409


async def test_tokens_are_lent_to_our_own_services_only(on: World) -> None:
    body = {"owner": OWNER}
    shown = [{}, bearer(SERVICE_TOKEN), on.as_user(), bearer(on.as_user()["X-Tapis-Token"])]
    answers = [await on.http.post(INTERNAL_PATH, json=body, headers=headers) for headers in shown]

    assert internal.PATH == INTERNAL_PATH
    assert [answer.status_code for answer in answers] == [401] * 4


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def internally(on: World, body: dict[str, str]) -> dict[str, str]:
    answer = await on.http.post(INTERNAL_PATH, json=body, headers=bearer(INTERNAL_TOKEN))
    assert answer.status_code == 200, answer.text
    given: dict[str, str] = answer.json()
    return given


async def aged(on: World) -> None:
    """Have a login's access token end."""
    logins = Collection(on.platform.store, LOGINS, Login)
    now = datetime.now(UTC)
    await logins.update(digest(OWNER), lambda one: one.model_copy(update={"access_expires_at": now}))


def tokens_asked(on: World) -> int:
    return on.tapis.tapis.calls.count("create_token")
