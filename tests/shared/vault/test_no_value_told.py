"""No value of a secret, and nothing that logs in, is ever in a message, a log line, a repr or a traceback."""

from __future__ import annotations

import asyncio
import io
import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flightline.vault_simulator import Rule, SimulatedVault
from flightline.vault_simulator.kv import VersionedEngine
from shared.constants import WEBDAV, open_constants, parse_constant, webdav_constants
from shared.constants.webdav import WebdavConstants
from shared.errors import PermanentError, TransientError
from shared.secrets import resolve
from shared.vault_settings import ConstantsSettings
from tests.support.logs import log_lines
from tests.support.vault import our_client

PASSWORD = "p4ssw0rd-that-nobody-may-see"
TOKEN = "hvs.token-that-nobody-may-see"
SECRET_ID = "secret-id-that-nobody-may-see"
HIDDEN = (PASSWORD, TOKEN, SECRET_ID)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Collect everything that is logged, from debug on."""
    with log_lines("tests", "debug") as lines:
        yield lines


@pytest.fixture
def secret(vault: SimulatedVault) -> SimulatedVault:
    vault.put("kv/webdav", {"url": "https://example.org", "username": "mia", "password": PASSWORD})
    vault.add_token(TOKEN)
    vault.add_approle("tests", SECRET_ID, role_id="role")
    return vault


def everything(error: BaseException) -> str:
    """Return all that could be shown of an exception, those behind it and their attributes too."""
    parts = [repr(error), "".join(traceback.format_exception(error)), repr(vars(error))]
    behind = [one for one in (error.__cause__, error.__context__) if one is not None]
    return "\n".join([*parts, *map(everything, behind)])


def sealed(vault: SimulatedVault) -> None:
    vault.condition.is_sealed = True


def denied(vault: SimulatedVault) -> None:
    vault.condition.denied = ("kv/",)


def deleted(vault: SimulatedVault) -> None:
    engine = vault.mounts["kv"]
    assert isinstance(engine, VersionedEngine)
    engine.delete("webdav")


def cut(vault: SimulatedVault) -> None:
    vault.faults.add(Rule(kind="cut", path="kv/"))


def echoing(vault: SimulatedVault) -> None:
    """Repeat what logs in, as a careless proxy does."""
    sent = TOKEN if not vault.calls.count("POST", "auth/approle/login") else SECRET_ID
    vault.faults.add(Rule(kind="status", path="kv/", status=400, message=f"bad login by {sent} here"))


@pytest.mark.parametrize("spoil", [sealed, denied, deleted, cut, echoing])
@pytest.mark.parametrize(
    "login", [{"vault_token": TOKEN}, {"vault_role_id": "role", "vault_secret_id": SECRET_ID}]
)
def test_errors_of_vault_show_no_value(
    secret: SimulatedVault,
    logged: io.StringIO,
    login: dict[str, Any],
    spoil: Callable[[SimulatedVault], None],
) -> None:
    with our_client(secret, **login) as client:
        assert client.read("kv/webdav")
        spoil(secret)
        with pytest.raises((PermanentError, TransientError)) as caught:
            client.read("kv/webdav")
        logging.getLogger("tests").error("it failed", exc_info=caught.value)

    shown = everything(caught.value) + logged.getvalue()
    assert not [value for value in HIDDEN if value in shown]


def test_secrets_and_constants_have_no_value_in_their_repr(secret: SimulatedVault) -> None:
    with our_client(secret) as client:
        found = client.read("kv/webdav")

    assert found
    assert found.values["password"] == PASSWORD
    assert PASSWORD not in repr(found)


async def test_constants_show_no_value(secret: SimulatedVault, logged: io.StringIO) -> None:
    settings = ConstantsSettings.model_validate(
        {"vault_url": secret.url, "vault_token": TOKEN, "constants": "vault:kv"}
    )
    async with open_constants(settings) as constants:
        constant = await constants.read(WEBDAV)
        webdav = webdav_constants(settings, constant)

    assert webdav
    assert webdav.password.get_secret_value() == PASSWORD
    assert '"constant": "webdav"' in logged.getvalue()
    shown = f"{constant!r} {webdav!r} {webdav} {webdav.place()!r} {settings!r} {logged.getvalue()}"
    assert not [value for value in HIDDEN if value in shown]


async def test_constants_that_do_not_fit_show_no_value(tmp_path: Path) -> None:
    document = tmp_path / "constants.json"
    document.write_text(
        f'{{"webdav": {{"url": "http://{PASSWORD}@example.org", "password": ["{PASSWORD}"]}}}}'
    )
    settings = ConstantsSettings.model_validate({"constants": f"file:{document}"})

    async with open_constants(settings) as constants:
        constant = await constants.read(WEBDAV)
        with pytest.raises(PermanentError) as caught:
            parse_constant(WebdavConstants, WEBDAV, constant, prefix="FLIGHTLINE_WEBDAV_")

    assert "password" in str(caught.value)
    assert PASSWORD not in everything(caught.value)


async def test_a_damaged_file_is_not_shown(tmp_path: Path) -> None:
    document = tmp_path / "constants.json"
    document.write_text(f'{{"webdav": {{"password": "{PASSWORD}" "username"}}')
    settings = ConstantsSettings.model_validate({"constants": f"file:{document}"})

    async with open_constants(settings) as constants:
        with pytest.raises(PermanentError, match="is no JSON object") as caught:
            await constants.read(WEBDAV)

    assert PASSWORD not in everything(caught.value)


async def test_a_reference_shows_no_value(secret: SimulatedVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTLINE_VAULT_URL", secret.url)
    monkeypatch.setenv("FLIGHTLINE_VAULT_TOKEN", TOKEN)

    with pytest.raises(PermanentError, match="no such key") as caught:
        await asyncio.to_thread(resolve, "vault:kv/webdav#passwort")

    assert not [value for value in HIDDEN if value in everything(caught.value)]
