"""What the doctor says of the constants of scaler and mover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flightline.commands.doctor_constants import constants_checks
from flightline.nextcloud_simulator import Nextcloud, serving
from flightline.vault_simulator import SimulatedVault
from shared.errors import InvalidInputError, PermanentError
from shared.settings import PlatformSettings
from tests.support.vault import ROOT, vault_server


@pytest.fixture
def vault() -> Iterator[SimulatedVault]:
    with vault_server() as served:
        yield served


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve a Nextcloud, and return the login for it."""
    with (
        Nextcloud(tmp_path / "home", user="mia", password="correct-horse") as simulated,
        serving(simulated) as url,
    ):
        yield {"host_url": url, "username": "mia", "password": "correct-horse"}


def settings(vault: SimulatedVault, **more: Any) -> PlatformSettings:
    given = {"vault_url": vault.url, "vault_token": ROOT, "constants": "vault:kv", **more}
    return PlatformSettings.model_validate(given)


def test_what_is_not_configured_is_not_looked_at() -> None:
    assert constants_checks(PlatformSettings()) == {}


async def test_constants_and_their_server_are_found(vault: SimulatedVault, cloud: dict[str, str]) -> None:
    vault.put("kv/webdav", cloud)
    vault.put("kv/mover_constants", {"PARENT_TAG_VALUE": "ai"})
    on = settings(vault)

    said = {what: await check(on) for what, check in constants_checks(on).items()}

    assert said == {
        "constants": f"webdav, mover_constants in Vault at {vault.url}, kv",
        "webdav": f"mia at {cloud['host_url']}/remote.php/dav/files/mia/",
    }


async def test_a_wrong_password_is_found(vault: SimulatedVault, cloud: dict[str, str]) -> None:
    vault.put("kv/webdav", {**cloud, "password": "battery-staple"})
    on = settings(vault)

    with pytest.raises(PermanentError) as refused:
        await constants_checks(on)["webdav"](on)

    assert "battery-staple" not in str(refused.value)


async def test_an_empty_mount_is_found(vault: SimulatedVault) -> None:
    on = settings(vault)

    with pytest.raises(InvalidInputError, match="kv has none of webdav, scaler_constants, mover_constants"):
        await constants_checks(on)["constants"](on)
