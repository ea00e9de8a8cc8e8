"""``scaler`` as a process, with the user's constants in a file and in Vault."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from scaler.config import Settings
from scaler.webdav.errands import dry_run, list_rejected, once
from shared.settings import load
from tests.scaler.pictures import jpeg
from tests.scaler.webdav.conftest import RAW, UNSORTED, raw, scaled
from tests.support.columns import Column
from tests.support.dav_servers import RunningDav
from tests.support.until import wait_until

QUICK = {"SCALER_PORT": "0", "SCALER_AT_REST": "0s"}


def constants(server: RunningDav) -> dict[str, Any]:
    """Return the user's document."""
    return {
        "webdav": {
            "host_url": server.place.host_url,
            "url": server.place.url,
            "username": server.place.username,
            "password": server.place.password.get_secret_value(),
        },
        "scaler_constants": {
            "RAW_NAMES_PREFIXES": ["Unknown"],
            "RAW_REMOTE_DIR": RAW,
            "UNSORTED_REMOTE_DIR": UNSORTED,
        },
    }


@pytest.fixture
def column(tmp_path: Path, nextcloud: RunningDav) -> Column:
    """Run scaler with the constants in a file."""
    file = tmp_path / "constants.json"
    file.write_text(json.dumps(constants(nextcloud)))
    (tmp_path / "home").mkdir()
    own = {**QUICK, "FLIGHTLINE_CONSTANTS": f"file:{file}"}
    return Column(tmp_path / "home", command="scaler", own=own)


@pytest.fixture
def environment(column: Column, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Have what the command would see, in this process."""
    for name, value in column.environment.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("environment")
async def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    nextcloud: RunningDav, capsys: pytest.CaptureFixture[str]
) -> None:
    nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))
    nextcloud.stored.put(f"{RAW}/Other.jpg", jpeg(1))
    assert nextcloud.simulator

    code = await dry_run(load(Settings))

    said = capsys.readouterr().out
    assert code == 0
    assert f"would scale: {RAW}/Unknown.jpg" in said
    assert f"left alone: {RAW}/Other.jpg (begins with none of Unknown)" in said
    assert raw(nextcloud) == {"Unknown.jpg", "Other.jpg"}
    assert set(nextcloud.simulator.calls) == {"PROPFIND"}


@pytest.mark.usefixtures("environment")
async def test_once_it_scales_what_is_there_and_ends_with_what_came_of_it(
    nextcloud: RunningDav, capsys: pytest.CaptureFixture[str]
) -> None:
    nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))
    settings = load(Settings, frequency="0.2")

    async def done(errand: Callable[[Settings], Awaitable[int]]) -> tuple[int, str]:
        code = await errand(settings)
        said = capsys.readouterr().out.splitlines()
        return code, [line for line in said if not line.startswith("20")][-1]  # others are of the log

    first = await done(once)
    nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(2)[:-100])
    second = await done(once)
    listed = await done(list_rejected)
    nextcloud.stored.remove(f"{RAW}/Unknown.jpg")
    third = await done(once)

    assert first == (0, "1 scaled; 0 still waiting")
    assert second == (1, "1 rejected; 0 still waiting")
    assert (listed[0], listed[1].partition("truncated: ")[0]) == (0, f"{RAW}/Unknown.jpg: ")
    assert third == (0, "nothing to do; 0 still waiting")
    assert len(scaled(nextcloud)) == 1


async def test_what_cannot_be_done_is_said_in_a_sentence(
    environment: pytest.MonkeyPatch, nextcloud: RunningDav, capsys: pytest.CaptureFixture[str]
) -> None:
    password = nextcloud.place.password.get_secret_value()
    assert nextcloud.simulator
    nextcloud.simulator.account.password = "another one"

    refused = (await once(load(Settings)), capsys.readouterr().err)
    environment.delenv("FLIGHTLINE_CONSTANTS")
    nothing = (await once(load(Settings)), capsys.readouterr().err)

    assert (refused[0], nothing[0]) == (1, 2)
    assert "401" in refused[1]
    assert password not in refused[1]
    assert "set FLIGHTLINE_CONSTANTS" in nothing[1]


def test_it_looks_as_often_as_the_command_says_and_ends_in_order(
    column: Column, nextcloud: RunningDav
) -> None:
    nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))

    with column.running("--frequency", "0.3") as process:
        wait_until(lambda: not raw(nextcloud))
        nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(2))
        wait_until(lambda: not raw(nextcloud))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "service.ended" in said
    assert len(scaled(nextcloud)) == 2


@pytest.mark.long
def test_it_does_the_users_document_with_secrets_from_vault(
    column: Column, nextcloud: RunningDav, tmp_path: Path
) -> None:
    nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))
    flightline = Column(column.home, command="flightline")
    file = tmp_path / "constants.json"
    with flightline.running("simulate", "vault", "--port", "0", "--constants", str(file), "--json") as vault:
        assert vault.stdout
        environment = json.loads(vault.stdout.readline())["environment"]
        file.unlink()
        ended: subprocess.CompletedProcess[str] = column.run("--once", **environment)

    assert (ended.returncode, ended.stdout) == (0, "1 scaled; 0 still waiting\n"), ended.stderr
    assert len(scaled(nextcloud)) == 1
    assert not raw(nextcloud)
