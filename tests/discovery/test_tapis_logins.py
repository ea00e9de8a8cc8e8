"""Logins without a service around them: renewed by one replica at a time, sealed, and never lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from discovery.adapters.sealing import FILE_NAME, Sealer, secrets_key
from discovery.adapters.tapis_logins import HOLD, Logins
from discovery.collections import LOGINS
from discovery.config import Settings
from discovery.domain.logins import Login, LoginState, UnknownTokenError, digest
from discovery.opening import opened_logins
from flightline.tapis_simulator.accounts import Code
from shared.errors import DamagedError, InvalidInputError, TransientError
from shared.platform import Platform
from shared.settings import PlatformSettings
from shared.sources import LoginNeededError
from shared.state import Collection
from shared.state.owner import process_owner
from tests.discovery.tapis import CLIENT_ID, OWNER, tenant
from tests.support.tapis import USER, TapisServer

NAME_OF_ANOTHER = "from shared.state.owner import process_owner; print(process_owner())"


class Replicas:
    """Discovery's logins, as several processes have them."""

    def __init__(self, tapis: TapisServer, on: Platform, logins: list[Logins]) -> None:
        self.tapis = tapis
        self.on = on
        self.all = logins
        self.kept = Collection(on.store, LOGINS, Login)

    async def log_in(self) -> None:
        """Keep a login that can be renewed."""
        accounts = self.tapis.tapis.accounts
        callback = accounts.clients[CLIENT_ID].callback_url
        code = accounts.codes.keep(Code(USER, CLIENT_ID, callback))
        assert (await self.all[0].log_in(code, callback)).owner == OWNER
        self.tapis.tapis.calls.reset()

    async def age(self) -> None:
        """Have the access token end."""
        ended = datetime.now(UTC) - timedelta(seconds=1)
        await self.kept.update(digest(OWNER), lambda one: one.model_copy(update={"access_expires_at": ended}))

    @property
    def grants(self) -> int:
        """Return how often Tapis was asked for tokens."""
        return self.tapis.tapis.calls.count("create_token")


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[Replicas]:
    async with tenant(tmp_path / "home") as (server, on, url), AsyncExitStack() as stack:
        settings = Settings(public_url=url)
        opened = [await stack.enter_async_context(opened_logins(settings, on)) for _ in range(4)]
        logins = [one for one in opened if one]
        held = Replicas(server, on, logins)
        await held.log_in()
        yield held


async def test_all_replicas_together_renew_a_login_once(replicas: Replicas) -> None:
    await replicas.age()
    asked = [one.token(OWNER) for one in replicas.all for _ in range(5)]
    tokens = set(await asyncio.gather(*asked))

    assert (len(tokens), replicas.grants) == (1, 1)


async def test_a_rejected_token_is_renewed_once_by_all_replicas_together(replicas: Replicas) -> None:
    rejected = await replicas.all[0].token(OWNER)
    tokens = set(await asyncio.gather(*(one.renewed(OWNER, rejected) for one in replicas.all)))

    assert rejected not in tokens
    assert (len(tokens), replicas.grants) == (1, 1)


async def test_a_good_token_costs_no_request(replicas: Replicas) -> None:
    tokens = [await one.token(OWNER) for one in replicas.all]

    assert (len(set(tokens)), replicas.grants) == (1, 0)


async def test_who_gives_up_waiting_leaves_the_login_to_others(replicas: Replicas) -> None:
    await replicas.age()
    replicas.tapis.tapis.faults.switch_on("delay", operation="create_token", seconds=0.5)
    waiting = asyncio.create_task(replicas.all[0].token(OWNER))
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await replicas.all[1].token(OWNER)


async def test_who_died_while_renewing_keeps_nobody_waiting(replicas: Replicas) -> None:
    """Its lease would last a minute and a half."""
    command = [sys.executable, "-c", NAME_OF_ANOTHER]
    died = (await asyncio.to_thread(subprocess.check_output, command, text=True)).strip()
    await replicas.age()
    held = await replicas.kept.claim({"id": digest(OWNER)}, owner=f"{died}/0a1b2c3d", hold=HOLD)
    async with asyncio.timeout(20):
        token = await replicas.all[0].token(OWNER)

    assert held is not None
    assert (bool(token), replicas.grants) == (True, 1)


async def test_who_lives_is_waited_for(replicas: Replicas) -> None:
    await replicas.age()
    await replicas.kept.claim({"id": digest(OWNER)}, owner=f"{process_owner()}/0a1b2c3d", hold=HOLD)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await replicas.all[0].token(OWNER)

    assert replicas.grants == 0


async def test_a_tenant_may_change_its_key(replicas: Replicas) -> None:
    issuer, first = replicas.tapis.tapis.issuer, replicas.all[0]
    before = issuer.access_token(USER)
    await first.claims(before)
    issuer.rotate_key()
    replicas.tapis.tapis.calls.reset()
    claims = await first.claims(issuer.access_token(USER))
    with pytest.raises(UnknownTokenError):
        await first.claims(before)

    assert claims.owner == OWNER
    assert replicas.tapis.tapis.calls.count("get_tenant") == 1


async def test_forged_tokens_do_not_make_us_ask_tapis_each_time(replicas: Replicas) -> None:
    header, payload, _ = replicas.tapis.tapis.issuer.access_token(USER).split(".")
    forged = f"{header}.{payload}.{'A' * 342}"
    asked = [replicas.all[0].claims(forged) for _ in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(answer) for answer in answers} == {UnknownTokenError}
    assert replicas.tapis.tapis.calls.count("get_tenant") <= 2  # the first time ever, and once again


async def test_a_refused_renewal_is_remembered_and_not_tried_again(replicas: Replicas) -> None:
    await replicas.age()
    replicas.tapis.tapis.issuer.end_all("refresh")
    for one in replicas.all:
        with pytest.raises(LoginNeededError, match="log in again at http"):
            await one.token(OWNER)

    assert replicas.grants == 1
    assert (await replicas.kept.load(digest(OWNER))).body.state is LoginState.LOGIN_NEEDED


async def test_while_tapis_is_away_a_token_is_used_to_its_very_end(replicas: Replicas) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=60)
    before = await replicas.all[0].token(OWNER)
    await replicas.kept.update(digest(OWNER), lambda one: one.model_copy(update={"access_expires_at": soon}))
    replicas.tapis.tapis.faults.switch_on("status", operation="create_token", status=503, times=None)

    assert await replicas.all[0].token(OWNER) == before
    await replicas.age()
    with pytest.raises(TransientError):
        await replicas.all[0].token(OWNER)


async def test_who_never_logged_in_is_told_where(replicas: Replicas) -> None:
    with pytest.raises(LoginNeededError, match=r"nobody@tacc is not logged in .* log in at http"):
        await replicas.all[0].token("nobody@tacc")


async def test_with_another_key_a_login_is_over_but_not_a_riddle(replicas: Replicas) -> None:
    key = SecretStr("another key of more than 32 characters")
    changed = replicas.on.settings.model_copy(update={"secrets_key": key})
    async with opened_logins(Settings(), replace(replicas.on, settings=changed)) as logins:
        assert logins is not None
        with pytest.raises(LoginNeededError, match="log in again"):
            await logins.token(OWNER)


def test_what_is_sealed_opens_only_where_it_belongs() -> None:
    sealer, other = Sealer("a" * 32), Sealer("b" * 32)
    sealed = sealer.seal("eyJ.secret.x", "ann@tacc")

    assert sealer.open(sealed, "ann@tacc") == "eyJ.secret.x"
    assert sealer.seal("eyJ.secret.x", "ann@tacc") != sealed
    assert "secret" not in sealed
    for wrong, value, purpose in (
        (other, sealed, "ann@tacc"),
        (sealer, sealed, "bob@tacc"),
        (sealer, f"{sealed[:-4]}AAAA", "ann@tacc"),
        (sealer, "nonsense", "ann@tacc"),
        (sealer, "", "ann@tacc"),
    ):
        with pytest.raises(DamagedError):
            wrong.open(value, purpose)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path / "home")
    keys = {secrets_key(settings) for _ in range(3)}

    assert len(keys) == 1
    assert (tmp_path / "home" / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_replicas_on_a_shared_database_need_a_key_that_is_set(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path, state="mongodb://db.example.org/flightline")
    with pytest.raises(InvalidInputError, match="FLIGHTLINE_SECRETS_KEY"):
        secrets_key(settings)
    with pytest.raises(ValueError, match="32"):
        PlatformSettings(secrets_key=SecretStr("short"))
