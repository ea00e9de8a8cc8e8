"""``uv run mover`` and ``flightline move`` as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flightline.nextcloud_simulator.faults import Rule
from tests.mover.conftest import FOLDERS, ROOT, UNSORTED
from tests.support.dav_servers.running import RunningDav
from tests.support.zygote import Child, Zygote, zygote

MOVER, FLIGHTLINE = ("mover.main:run", "mover"), ("flightline.main:app", "flightline", "move")
MODULES = ("mover.main", "flightline.main", "aiohttp", "uvloop", "shared.state.open", "shared.dav.client")


@dataclass(frozen=True, slots=True)
class Shell:
    """A user's shell, where the environment tells of a Nextcloud."""

    cloud: RunningDav
    home: Path
    parent: Zygote

    def environment(self, **more: str) -> dict[str, str]:
        place = self.cloud.place
        return {
            "PATH": os.environ["PATH"],
            "FLIGHTLINE_HOME": str(self.home),
            "FLIGHTLINE_WEBDAV_URL": place.url,
            "FLIGHTLINE_WEBDAV_USERNAME": place.username,
            "FLIGHTLINE_WEBDAV_PASSWORD": place.password.get_secret_value(),
            **{f"MOVER_{name.upper()}": value for name, value in FOLDERS.items()},
            "MOVER_REPAIR_EVERY": "0",
            **more,
        }

    def start(self, command: tuple[str, ...], *arguments: str, **more: str) -> Child:
        main, *name = command
        self.home.mkdir(exist_ok=True)
        log = self.home / f"said-{len(list(self.home.iterdir()))}"
        return self.parent.start(main, [*name, *arguments], self.environment(**more), log)

    def run(self, command: tuple[str, ...], *arguments: str, **more: str) -> tuple[int | None, str]:
        """Run a command to its end, and return its exit code and what it said."""
        child = self.start(command, *arguments, **more)
        return child.wait(), child.told()


@pytest.fixture(scope="module")
def parent() -> Iterator[Zygote]:
    with zygote(*MODULES) as running:
        yield running


@pytest.fixture
def shell(nextcloud: RunningDav, parent: Zygote, tmp_path: Path) -> Shell:
    for name, tags in {"a.jpg": ["ai:cats"], "b.jpg": ["ai:.."], "c.jpg": []}.items():
        nextcloud.stored.put(f"{UNSORTED}/{name}", name.encode())
        nextcloud.stored.tag(f"{UNSORTED}/{name}", *tags)
    return Shell(nextcloud, tmp_path / "home", parent)


def test_mover_once_says_what_it_did(shell: Shell) -> None:
    code, said = shell.run(MOVER, "--once")

    assert code == 0, said
    first, second, last = (line for line in said.splitlines() if '"level"' not in line)
    assert first == f"{UNSORTED}/a.jpg -> {ROOT}/cats/a.jpg"
    assert second.startswith(f"{UNSORTED}/b.jpg: stays, tag 'ai:..'")
    assert last.startswith("3 files unsorted: 1 moved, 1 left with a reason")


def test_move_once_says_the_same_as_json(shell: Shell) -> None:
    code, said = shell.run(FLIGHTLINE, "--once", "--json")

    assert code == 0, said
    report = json.loads(said)
    assert (report["files"], report["moved"], report["left"], report["exit_code"]) == (3, 1, 1, 0)
    assert report["moves"][0]["target"] == f"{ROOT}/cats/a.jpg"
    assert report["left_files"][0]["why"] == "invalid-category"


@pytest.mark.parametrize("command", [MOVER, FLIGHTLINE], ids=["mover", "flightline move"])
def test_a_dry_run_changes_nothing(shell: Shell, command: tuple[str, ...]) -> None:
    code, said = shell.run(command, "--dry-run")

    assert code == 0, said
    assert said.splitlines()[0] == f"{UNSORTED}/a.jpg -> {ROOT}/cats/a.jpg"
    assert said.splitlines()[-1] == "3 files unsorted: 1 would be moved, 1 left with a reason"
    assert shell.cloud.stored.names(ROOT) == set()


@pytest.mark.parametrize("command", [MOVER, FLIGHTLINE], ids=["mover", "flightline move"])
@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        ({"MOVER_IMAGES_ROOT_DIR": "../x"}, 2, "MOVER_IMAGES_ROOT_DIR"),
        ({"FLIGHTLINE_WEBDAV_PASSWORD": "wrong"}, 1, "was the password changed"),
        ({"FLIGHTLINE_WEBDAV_URL": "http://127.0.0.1:9/remote.php/dav/files/x"}, 75, "out of reach"),
        ({"MOVER_UNSORTED_REMOTE_DIR": "nowhere"}, 1, "neither nowhere nor"),
    ],
)
def test_exit_codes_say_what_to_do(
    shell: Shell, command: tuple[str, ...], more: dict[str, str], code: int, told: str
) -> None:
    ended, said = shell.run(command, "--once", **more)

    assert ended == code, said
    assert told in said
    assert "app:password" not in said


def test_files_that_fail_are_told_and_the_rest_is_done(shell: Shell) -> None:
    assert shell.cloud.simulator is not None
    shell.cloud.simulator.faults.add(Rule(method="MOVE", status=423))

    code, said = shell.run(FLIGHTLINE, "--once")

    assert code == 3
    assert "it is locked" in said


def test_mover_serves_until_sigterm(shell: Shell) -> None:
    child = shell.start(MOVER, "--frequency", "1s", MOVER_PORT="0", FLIGHTLINE_LOG_FORMAT="json")
    try:
        wait_for(shell.cloud, {"cats/a.jpg"})
    finally:
        child.end()
    assert child.wait() == 0, child.told()


def test_flightline_move_goes_on_until_it_is_interrupted(shell: Shell) -> None:
    code = "from flightline.main import app; app()"
    command = [sys.executable, "-c", code, "move"]
    with subprocess.Popen(command, env=shell.environment(MOVER_FREQUENCY="0.2s")) as process:
        try:
            wait_for(shell.cloud, {"cats/a.jpg"})
            shell.cloud.stored.put(f"{UNSORTED}/d.jpg", b"")
            shell.cloud.stored.tag(f"{UNSORTED}/d.jpg", "ai:cats")
            wait_for(shell.cloud, {"cats/a.jpg", "cats/d.jpg"})
            process.send_signal(signal.SIGINT)
            process.wait(60)
        finally:
            process.kill()
    assert process.returncode == 130


def wait_for(cloud: RunningDav, names: set[str], within_s: float = 60) -> None:
    """Wait until just these files are sorted."""
    until_s = time.monotonic() + within_s
    while cloud.stored.names(ROOT) != names and time.monotonic() < until_s:
        time.sleep(0.05)
    assert cloud.stored.names(ROOT) == names
