"""Notifications that could not be told can be listed, by whom they are for and by the operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.discovery.tapis import BOB, SERVICE_TOKEN, SYSTEM, World, created, world
from tests.support.webhook_receiver import Receiver, webhook_receiver

OPERATOR = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
LIST = "/api/notifications/"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with webhook_receiver() as opened:
        yield opened


async def listed(on: World, query: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await on.http.get(f"{LIST}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    notices: list[dict[str, Any]] = answer.json()["notifications"]
    return notices


def waits(notice: dict[str, Any]) -> bool:
    return any(one["state"] == "waiting" for one in notice["sendings"])


async def test_dead_notices_are_listed_with_the_reason_and_without_secrets(
    tmp_path: Path, receiver: Receiver
) -> None:
    webhook = SecretStr(f"{receiver.url}/operators?key=0perat0r")
    async with world(tmp_path / "home", allow_private_urls=True, notify_webhook=webhook) as on:
        on.tapis.flight(SYSTEM, "Flight1")
        await on.post("/api/tapis-preferences/", {"notify_on_discovery": True, "notify_email": "a@b.org"})
        await created(on)
        await receiver.wait(1)
        async with asyncio.timeout(20):
            while not (dead := await listed(on, "?state=dead", OPERATOR)) or waits(dead[0]):
                await asyncio.sleep(0.05)
        mine = await listed(on, "?state=dead", on.as_user())
        sent = await listed(on, "?state=sent", OPERATOR)
        bobs = await listed(on, "", on.as_user(BOB))
        refused = await on.http.get(f"{LIST}?state=lost", headers=OPERATOR)

    by_channel = {one["channel"]: one for one in dead[0]["sendings"]}
    assert (dead[0]["flight_name"], dead[0]["occasion"], dead[0]["state"]) == ("Flight1", "found", "dead")
    assert (by_channel["webhook"]["to"], by_channel["webhook"]["state"]) == ("127.0.0.1", "sent")
    assert (by_channel["email"]["to"], by_channel["email"]["attempts"]) == ("a@b.org", 1)
    assert "DISCOVERY_SMTP_HOST" in by_channel["email"]["reason"]
    assert [one["to"] for one in mine[0]["sendings"]] == ["a@b.org"]
    assert (sent, bobs, refused.status_code) == ([], [], 422)
    assert "0perat0r" not in str(dead)


async def test_without_a_token_nothing_is_listed(tmp_path: Path) -> None:
    async with world(tmp_path / "home") as on:
        answer = await on.http.get(LIST)

    assert answer.status_code == 401
