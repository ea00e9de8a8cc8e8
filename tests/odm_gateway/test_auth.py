"""Logging in and registering, and that tokens stay secret."""

import io
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from odm_gateway.adapters.accounts import LOGINS, USERS
from odm_gateway.config import Settings
from odm_gateway.domain.logins import Login, User
from shared.passwords import PASSES, password_hash, token_key
from shared.state import Collection
from tests.support.gateway import GatewayClient, running_gateway
from tests.support.logs import log_lines

REFUSAL = {"error": "Invalid authentication token: token does not match."}
WRONG = {"error": "Invalid username or password."}
ANN = {"username": "Ann", "password": "correct horse"}


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[GatewayClient]:
    """A gateway where anybody may register."""
    async with running_gateway(tmp_path, login=True, registration=True) as client:
        yield client


async def token_of(client: GatewayClient, name: str) -> str:
    person = {"username": name, "password": f"password of {name}"}
    assert await client.post("/auth/register", json=person) == {"success": True}
    return str((await client.post("/auth/login", json=person))["token"])


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register"])
async def test_login_is_off_unless_it_is_switched_on(gateway: GatewayClient, path: str) -> None:
    assert await gateway.post(path, json=ANN) == {"error": "Not available"}
    assert await gateway.get("/auth/info") == {
        "message": "Authentication not available on this node",
        "loginUrl": None,
        "registerUrl": None,
    }


@pytest.mark.parametrize("kind", ["json", "data"])
async def test_a_user_registers_logs_in_and_is_let_in(club: GatewayClient, kind: str) -> None:
    body: dict[str, Any] = {kind: ANN}
    assert await club.post("/auth/register", **body) == {"success": True}
    token = (await club.post("/auth/login", **body))["token"]
    assert "version" in await club.get("/info", params={"token": token})


async def test_where_one_can_log_in_tokens_are_wanted(club: GatewayClient) -> None:
    for path in (
        "/info",
        "/options",
        "/task/list",
        "/task/x/info",
        "/info?token=",
        "/task/x/download/all.zip",
    ):
        assert await club.get(path) == REFUSAL
    assert await club.post("/task/cancel", data={"uuid": "x"}) == REFUSAL


async def test_g6_what_tells_how_to_get_in_needs_no_token(club: GatewayClient) -> None:
    for path in ("/auth/info", "/", "/swagger.json"):
        assert (await club.http.get(path)).status_code == 200


async def test_q20_the_urls_are_absolute(club: GatewayClient) -> None:
    info = await club.get("/auth/info")
    base = str(club.http.base_url).rstrip("/")
    assert (info["loginUrl"], info["registerUrl"]) == (f"{base}/auth/login", f"{base}/auth/register")


async def test_q20_the_urls_are_those_that_clients_can_reach(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, login=True, public_url="https://odm.example.org/node") as client:
        info = await client.get("/auth/info")
        assert (info["loginUrl"], info["registerUrl"]) == ("https://odm.example.org/node/auth/login", None)
        assert await client.post("/auth/register", json=ANN) == {"error": "Not available"}


async def test_a_wrong_password_and_an_unknown_user_are_told_alike(club: GatewayClient) -> None:
    await club.post("/auth/register", json=ANN)
    for person in ({**ANN, "password": "wrong horse"}, {**ANN, "username": "bob"}, {**ANN, "username": "%%"}):
        assert await club.post("/auth/login", json=person) == WRONG


async def test_names_count_without_their_case_and_are_taken_once(club: GatewayClient) -> None:
    await club.post("/auth/register", json=ANN)
    again = {"username": "aNN", "password": "another horse"}
    assert await club.post("/auth/register", json=again) == {"error": "This username is taken."}
    assert "token" in await club.post("/auth/login", json={**ANN, "username": "ANN"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "short"}, "8 to"),
        ({"password": "x" * 1001}, "8 to"),
        ({"username": "a b"}, "username must"),
        ({"username": "x" * 65}, "username must"),
        ({"username": ""}, "are needed"),
        ({"password": 12345678}, "are needed"),
    ],
)
async def test_names_and_passwords_that_cannot_be_are_explained(
    club: GatewayClient, change: dict[str, Any], words: str
) -> None:
    assert words in (await club.post("/auth/register", json=ANN | change))["error"]


async def test_guessing_is_slowed_down_for_that_name_only(club: GatewayClient) -> None:
    await club.post("/auth/register", json=ANN)
    answers = [await club.post("/auth/login", json={**ANN, "password": f"guess {n}"}) for n in range(6)]
    assert answers[:5] == [WRONG] * 5
    assert "Too many" in answers[5]["error"]
    assert "Too many" in (await club.post("/auth/login", json=ANN))["error"]
    assert "version" in await club.get("/info", params={"token": await token_of(club, "bob")})


async def test_users_see_their_own_tasks_only(club: GatewayClient) -> None:
    ann, bob = await token_of(club, "ann"), await token_of(club, "bob")
    uuid = (
        await club.post(
            "/task/new", params={"token": ann}, data={"zipurl": club.platform.objects.uri("staging/flight")}
        )
    )["uuid"]
    assert await club.get("/task/list", params={"token": ann}) == [{"uuid": uuid}]
    assert await club.get("/task/list", params={"token": bob}) == []
    assert await club.get(f"/task/{uuid}/info", params={"token": bob}) == {"error": f"{uuid} not found"}


async def test_tokens_of_the_settings_count_beside_those_of_logins(tmp_path: Path) -> None:
    async with running_gateway(
        tmp_path, login=True, registration=True, tokens=SecretStr("op=static")
    ) as client:
        token = await token_of(client, "ann")
        assert "version" in await client.get("/info?token=static")
        assert "version" in await client.get("/info", params={"token": token})
        assert await client.get("/info?token=other") == REFUSAL


async def test_a_login_ends_after_its_time(club: GatewayClient) -> None:
    logins = Collection(club.platform.store, LOGINS, Login)
    over = datetime.now(UTC) - timedelta(seconds=1)
    await logins.insert(token_key("old"), Login(user="ann", expires_at=over), expires_at=over)
    assert await club.get("/info?token=old") == REFUSAL


async def test_neither_passwords_nor_tokens_are_kept(club: GatewayClient) -> None:
    token = await token_of(club, "ann")
    records = [
        record
        for collection in (USERS, LOGINS)
        for record in (await club.platform.store.find(collection.name, {})).records
    ]
    assert len(records) == 2
    assert token not in str(records)
    assert "password of ann" not in str(records)


async def test_a_user_of_an_earlier_release_still_logs_in(club: GatewayClient) -> None:
    users = Collection(club.platform.store, USERS, User)
    hashed = password_hash("correct horse", b"salt", 1)
    old = User(salt=b"salt".hex(), password_hash=hashed.hex(), created_at=datetime.now(UTC))
    await users.insert("ann", old)
    assert "token" in await club.post("/auth/login", json=ANN)
    await token_of(club, "bob")
    assert (await users.load("bob")).body.passes == PASSES


async def test_a_token_of_parts_that_nobody_gave_is_refused_like_any_other(club: GatewayClient) -> None:
    for token in ("submodel.x.y", "submodel.%00.y", f"submodel.{'x' * 3000}.y", "submodel.\ud7ff.y"):
        assert await club.get("/info", params={"token": token}) == REFUSAL


async def test_malformed_json_of_a_login_is_an_error_with_status_200(club: GatewayClient) -> None:
    answer = await club.http.post("/auth/login", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert set(answer.json()) == {"error"}


def test_a_gateway_with_logins_may_be_reached_from_elsewhere() -> None:
    assert Settings(host="0.0.0.0", login=True).is_guarded
    with pytest.raises(ValueError, match="lets other machines in"):
        Settings(host="0.0.0.0")


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    with log_lines("odm-gateway", "debug") as lines:
        yield lines


async def test_tokens_are_never_logged(tmp_path: Path, logged: io.StringIO) -> None:
    async with running_gateway(
        tmp_path, tokens=SecretStr("hush-static"), login=True, registration=True
    ) as client:
        token = await token_of(client, "ann")
        for one in ("hush-static", token, "hush-wrong"):
            for path in ("/", "/info", "/task/list", "/task/x/info", "/nope", "/task/x/download/all.zip"):
                await client.http.get(path, params={"token": one})
            await client.http.post("/task/cancel", params={"token": one}, content=b"{")
    text = logged.getvalue()
    assert "request.answered" in text
    assert all(secret not in text for secret in ("hush", token, "password of ann"))
