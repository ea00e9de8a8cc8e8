"""``flightline simulate vault``, as a user types it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flightline.simulate import app
from shared.constants import open_constants, webdav_constants
from shared.settings import PlatformSettings, load

ENDS_WITHIN_S = 60
DOCUMENT = {"webdav": {"url": "https://example.org/dav", "username": "mia", "password": "hunter2"}}


@contextmanager
def running(*arguments: object) -> Iterator[dict[str, Any]]:
    """Run the command until the block ends, by Ctrl-C, and return what it tells."""
    program = str(Path(sys.executable).with_name("flightline"))
    command = [program, "simulate", "vault", *map(str, arguments), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(ENDS_WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def paste(facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch, home: Path) -> PlatformSettings:
    """Do what the command says, and load settings."""
    monkeypatch.setenv("FLIGHTLINE_HOME", str(home))
    for name, value in facts["environment"].items():
        monkeypatch.setenv(name, value)
    return load(PlatformSettings)


async def test_what_it_tells_leads_to_the_constants_of_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "constants.json").write_text(json.dumps(DOCUMENT))
    with running("--constants", tmp_path / "constants.json", "--mount", "lab", "--kv-version", 1) as facts:
        settings = paste(facts, monkeypatch, tmp_path)
        async with open_constants(settings) as constants:
            found = webdav_constants(settings, await constants.read("webdav"))

    assert facts["secrets"] == ["lab/webdav"]
    assert found
    assert (found.username, found.password.get_secret_value()) == ("mia", "hunter2")


async def test_without_a_file_there_are_the_constants_of_the_simulated_nextcloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running() as facts:
        settings = paste(facts, monkeypatch, tmp_path)
        monkeypatch.delenv("FLIGHTLINE_VAULT_TOKEN")
        monkeypatch.setenv("FLIGHTLINE_VAULT_ROLE_ID", facts["role_id"])
        monkeypatch.setenv("FLIGHTLINE_VAULT_SECRET_ID", facts["secret_id"])
        async with open_constants(load(PlatformSettings)) as constants:
            found = await constants.read("mover_constants")
            webdav = webdav_constants(settings, await constants.read("webdav"))

    assert found
    assert found.values["PARENT_TAG_VALUE"] == "ai"
    assert webdav
    assert webdav.place().url == "http://127.0.0.1:8080/remote.php/dav/files/test-user/"


@pytest.mark.parametrize("content", ["[]", '{"webdav": "hunter2"}', '{"webdav": {"password": "hunter2"'])
def test_a_file_that_does_not_fit_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.json").write_text(content)

    result = CliRunner().invoke(app, ["vault", "--constants", str(tmp_path / "c.json")])

    assert result.exit_code == 2
    assert "c.json is no JSON object" in result.output
    assert "hunter2" not in result.output


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(app, ["vault", "--port", str(taken.getsockname()[1])])

    assert result.exit_code == 2
    assert "in use" in result.output
