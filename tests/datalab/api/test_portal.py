"""Users of the observation portal: let in by its tokens, told of by it, never into a local account."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from datalab.adapters.portal import open_portal
from datalab.doorkeeper import Doorkeeper
from tests.datalab.api.calling import SESSIONS, made
from tests.support.lab import RunningLab, running_lab
from tests.support.portal import Portal, profile, running_portal

SERVER_KEY = "the-key-of-the-portal"
PUSH = "/authprofile/addupdateuser/"


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    """Run a portal."""
    with running_portal() as running:
        yield running


@pytest.fixture(scope="module")
def lab(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """Run datalab beside it."""
    home = tmp_path_factory.mktemp("portal")
    with running_lab(home, portal_url=portal.url, server_key=SERVER_KEY) as running:
        yield running


@pytest.fixture
def calm(portal: Portal) -> Iterator[Portal]:
    """Give the portal back without faults."""
    yield portal
    portal.status = portal.body = None


def test_a_portals_token_opens_an_account_and_is_asked_for_once(lab: RunningLab, portal: Portal) -> None:
    portal.users["portal-token-of-anna"] = "anna@example.org"
    anna = lab.client("portal-token-of-anna")

    session = made(anna)
    again = [anna.get(SESSIONS).json()["count"] for _ in range(3)]

    assert session["user"] == "anna@example.org"
    assert again == [1, 1, 1]
    assert portal.asked["portal-token-of-anna"] == 1


def test_a_token_that_the_portal_does_not_know_is_remembered_too(lab: RunningLab, portal: Portal) -> None:
    statuses = [lab.client("nobodys-token-of-all").get(SESSIONS).status_code for _ in range(3)]

    assert statuses == [401] * 3
    assert portal.asked["nobodys-token-of-all"] == 1


def test_a_local_token_is_never_shown_to_the_portal(lab: RunningLab, portal: Portal) -> None:
    me = lab.user()

    assert me.get(SESSIONS).status_code == 200
    assert portal.asked[me.headers["Authorization"].split()[1]] == 0


def test_taking_a_local_users_name_at_the_portal_opens_nothing(lab: RunningLab, portal: Portal) -> None:
    lab.user("local")
    portal.users["token-of-an-impostor"] = "local"

    assert lab.client("token-of-an-impostor").get(SESSIONS).status_code == 401


def test_the_portals_token_opens_the_archive_and_a_local_one_does_not(
    lab: RunningLab, portal: Portal
) -> None:
    portal.users["portal-token-of-cleo"] = "cleo"

    async def archive_token(token: str) -> str | None:
        async with open_portal(portal.url) as opened:
            caller = await Doorkeeper(lab.accounts, opened).caller(token)
        assert caller is not None
        return caller.archive_token.get_secret_value() if caller.archive_token else None

    mine = lab.user().headers["Authorization"].split()[1]
    assert lab.do(archive_token("portal-token-of-cleo")) == "portal-token-of-cleo"
    assert lab.do(archive_token(mine)) is None


@pytest.mark.parametrize("status", [500, 302, 429, 404])
def test_a_portal_in_trouble_is_no_verdict_on_the_token(lab: RunningLab, calm: Portal, status: int) -> None:
    calm.status = status
    token = f"token-in-times-of-{status}"
    calm.users[token] = f"user{status}"

    away = lab.client(token).get(SESSIONS)
    calm.status = None
    back = lab.client(token).get(SESSIONS)

    assert away.status_code == 503
    assert away.headers["Retry-After"]
    assert back.status_code == 200


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"username": 1}', b"{}", b"x" * (2 << 20)])
def test_an_answer_that_is_no_profile_is_no_verdict_either(
    lab: RunningLab, calm: Portal, body: bytes
) -> None:
    calm.users["token-for-no-profile"] = "somebody"
    calm.body = body

    assert lab.client("token-for-no-profile").get(SESSIONS).status_code == 503


def test_many_requests_at_once_are_one_question(portal: Portal) -> None:
    portal.users["token-asked-together"] = "dora"

    async def ask() -> list[str | None]:
        async with open_portal(portal.url) as opened:
            return list(await asyncio.gather(*(opened.user_name("token-asked-together") for _ in range(20))))

    assert asyncio.run(ask()) == ["dora"] * 20
    assert portal.asked["token-asked-together"] == 1


def test_a_portal_that_is_away_is_told_without_the_token() -> None:
    async def ask() -> str:
        async with open_portal("http://127.0.0.1:9/api/") as opened:
            with pytest.raises(Exception, match="cannot be reached") as caught:
                await opened.user_name("a-token-nobody-may-see")
            return str(caught.value)

    assert "nobody-may-see" not in asyncio.run(ask())


@pytest.mark.parametrize("header", [None, "Server wrong", "Server", f"Token {SERVER_KEY}", "Server \xff"])
def test_only_the_portal_tells_of_its_users(lab: RunningLab, header: str | None) -> None:
    headers = {b"Authorization": header.encode("latin-1")} if header else {}

    answer = lab.client().post(PUSH, json={"username": "eve"}, headers=headers)

    assert answer.status_code == 403
    assert answer.json()["detail"] == "Invalid or missing API Key."


@pytest.mark.parametrize("path", [PUSH, PUSH.rstrip("/")])
def test_the_portal_tells_of_a_user_and_a_token(lab: RunningLab, portal: Portal, path: str) -> None:
    token = f"a-pushed-token-{len(path)}"

    answer = lab.client().post(path, json=profile("fay", token), headers=_key())

    assert answer.status_code == 200
    assert answer.json()["message"]
    assert lab.client(token).get("/api/profile/").json()["username"] == "fay"
    assert portal.asked[token] == 0


def test_the_portal_cannot_push_itself_into_a_local_account(lab: RunningLab) -> None:
    mine = lab.user("guarded")

    answer = lab.client().post(PUSH, json=profile("guarded", "a-pushed-token-of-eve"), headers=_key())

    assert answer.status_code == 400
    assert lab.client("a-pushed-token-of-eve").get(SESSIONS).status_code == 401
    assert mine.get(SESSIONS).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": ""},
        {"username": "a b"},
        {"username": "x", "api_token": 5},
        {"username": "x", "api_token": "short"},
    ],
)
def test_a_bad_push_is_told(lab: RunningLab, body: dict[str, object]) -> None:
    assert lab.client().post(PUSH, json=body, headers=_key()).status_code == 400


def test_without_a_key_nobody_can_push(tmp_path_factory: pytest.TempPathFactory, me: httpx.Client) -> None:
    with running_lab(tmp_path_factory.mktemp("keyless")) as keyless:
        answer = keyless.client().post(
            PUSH, json={"username": "x"}, headers={"Authorization": "Server "[:-1]}
        )

    assert answer.status_code == 403
    assert me.get(SESSIONS).status_code == 200


def _key() -> dict[str, str]:
    return {"Authorization": f"Server {SERVER_KEY}"}
