"""A user at a terminal logs in with a browser that is elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from discovery.domain.principals import SESSION_COOKIE
from tests.discovery.tapis import CLIENT_ID, SYSTEM, World, world
from tests.support.tapis import PASSWORD, USER

DEVICE = f"/api/oauth2/tapis/device/{CLIENT_ID}/"
LOGIN = f"{DEVICE}login/"
STATUS = "/api/oauth2/tapis/status/"


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home") as opened:
        yield opened


async def begun(on: World) -> dict[str, Any]:
    answer = await on.http.post(DEVICE)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def type_in(on: World, code: dict[str, Any]) -> None:
    """Log in to Tapis in a browser, and type the code in."""
    async with on.browser() as browser:
        page = await browser.get(code["verification_uri"])
        form = {"client_id": CLIENT_ID, "next": "device", "username": USER, "password": PASSWORD}
        page = await browser.post(f"{on.tapis.url}/v3/oauth2/login", data=form)
        assert page.status_code == 302, page.text
        typed = {"client_id": CLIENT_ID, "user_code": code["user_code"]}
        page = await browser.post(f"{on.tapis.url}/v3/oauth2/device", data=typed)
        assert "Connected" in page.text, page.text


async def test_a_code_that_was_typed_in_is_a_login_that_can_be_renewed(on: World) -> None:
    on.tapis.flight(SYSTEM)
    code = await begun(on)
    wanted = {"device_code": code["device_code"]}
    before = await on.http.post(LOGIN, json=wanted)
    await type_in(on, code)
    after = await on.http.post(LOGIN, json=wanted)
    as_user = {"Cookie": f"{SESSION_COOKIE}={after.json()['session']}"}
    (login,) = (await on.http.get(STATUS, headers=as_user)).json()["tokens"]
    systems = await on.http.get("/api/tapis-storage/systems/", headers=as_user)

    assert (before.status_code, before.json()["is_pending"], before.json()["session"]) == (202, True, None)
    assert (after.status_code, after.json()["user"]) == (200, f"{USER}@tacc")
    assert "set-cookie" not in after.headers
    assert (login["is_valid"], login["is_renewable"], login["client_id"]) == (True, True, CLIENT_ID)
    assert systems.json()["count"] == 1


async def test_a_code_is_good_once(on: World) -> None:
    code = await begun(on)
    await type_in(on, code)
    answers = [await on.http.post(LOGIN, json={"device_code": code["device_code"]}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 202]


async def test_what_is_no_code_of_ours_logs_nobody_in(on: World) -> None:
    await begun(on)
    invented = await on.http.post(LOGIN, json={"device_code": "invented"})
    empty = await on.http.post(LOGIN, json={})
    other = await on.http.post("/api/oauth2/tapis/device/another/")

    assert (invented.status_code, invented.json()["session"]) == (202, None)
    assert [answer.status_code for answer in (empty, other)] == [400, 404]


async def test_tapis_out_of_reach_is_503(on: World) -> None:
    on.tapis.tapis.faults.switch_on("status", operation="generate_device_code", status=503, times=None)

    assert (await on.http.post(DEVICE)).status_code == 503
