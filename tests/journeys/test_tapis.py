"""From a storage system of a simulated Tapis to an orthophoto and a project, as a new user goes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from rasterio.io import MemoryFile

from tests.journeys.test_up import QUIET
from tests.support.columns import Column
from tests.support.debian import ensure_installed
from tests.support.processes import free_port

README = Path(__file__).resolve().parents[2] / "README.md"
CHAPTER = "## Tapis in five minutes"
SYSTEM = "ptdatax.project.demo-1"
PROJECT = f"Flight001 ({SYSTEM})"
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@dataclass(frozen=True, slots=True)
class Ports:
    """Free ones, in place of those that everything has by default."""

    tapis: int
    discovery: int
    ingest: int
    gateway: int

    @property
    def discovery_url(self) -> str:
        return f"http://127.0.0.1:{self.discovery}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway}"

    @property
    def callback_url(self) -> str:
        return f"{self.discovery_url}/api/oauth2/tapis/callback/"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DISCOVERY_PORT": str(self.discovery),
            "INGEST_PORT": str(self.ingest),
            "SCALER_PORT": "0",
            "MOVER_PORT": "0",
            "ODM_GATEWAY_PORT": str(self.gateway),
            "FLIGHTLINE_DISCOVERY_URL": self.discovery_url,
        }

    def instead(self, text: str) -> str:
        """Return commands with these ports instead of the usual ones."""
        usual = {"8900": self.tapis, "8001": self.discovery, "31100": self.gateway}
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: str(usual[port.group()]), text)


@pytest.fixture
def ports() -> Ports:
    return Ports(*[free_port() for _ in range(4)])


@pytest.fixture
def storage(tmp_path: Path, flight: Path) -> Path:
    """Two systems, one with the small flight of these tests, where the README has a larger one made."""
    place = tmp_path / "build" / "tapis" / "storage"
    shutil.copytree(flight, place / SYSTEM / "Flight001" / "code" / "images")
    (place / "ptdatax.project.demo-2").mkdir()
    return place


@dataclass(frozen=True, slots=True)
class Terminal:
    """A shell that is typed into; what it starts in the background goes on between two commands."""

    shell: subprocess.Popen[str]

    def type(self, commands: str) -> str:
        """Run commands and return what they print."""
        assert self.shell.stdin
        assert self.shell.stdout
        self.shell.stdin.write(f"{commands}\nprintf '\\nexit %s\\n' $?\n")
        self.shell.stdin.flush()
        said = ""
        for line in self.shell.stdout:
            if line.startswith("exit "):
                assert line == "exit 0\n", said
                return said
            said += line
        raise AssertionError(f"the shell ended: {said}")


@contextmanager
def terminal(folder: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Open a shell in a checkout; whatever still runs in it at the end is killed."""
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(sys.prefix)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLIGHTLINE_")}
    with subprocess.Popen(
        ["bash"],
        env=kept | dict(environment),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            yield Terminal(shell)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)


def chapter() -> tuple[list[str], list[str]]:
    """Return the commands of the README's chapter, in blocks, and the states of which it tells."""
    text = README.read_text(encoding="utf-8").partition(CHAPTER)[2].partition("\n## ")[0]
    states = re.search(r"how far the flight is: ([^.]*)\.", text)
    assert states
    return re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL), re.findall(
        r"`(\w+)`", states.group(1)
    )


def orthophoto(gateway: str, task_id: str) -> bytes:
    """Download the orthophoto of a task."""
    answer = httpx.get(f"{gateway}/task/{task_id}/download/orthophoto.tif")
    assert answer.status_code == 200, answer.text
    return answer.content


def mapped_share(picture: bytes) -> float:
    """Return which share of an orthophoto's pixels shows something; it lies somewhere on Earth."""
    with MemoryFile(picture) as file, file.open() as opened:
        assert opened.crs.is_projected
        return float((opened.dataset_mask() > 0).mean())


@pytest.mark.usefixtures("storage")
def test_the_five_minutes_of_the_readme_end_in_an_orthophoto_and_a_project(
    tmp_path: Path, ports: Ports
) -> None:
    ensure_installed("curl", "curl")
    blocks, states = chapter()
    simulate, services, token, discover, projects = map(ports.instead, blocks)
    simulate = f"{simulate.strip()} --port {ports.tapis} --callback-url {ports.callback_url} > simulator.log"
    with terminal(tmp_path, {}) as first, terminal(tmp_path, ports.environment) as second:
        first.type(f"{simulate} 2>&1 &")
        until_it_listens(f"http://127.0.0.1:{ports.tapis}/v3/tenants")
        second.type(services)
        seen = second.type(token)
        found = second.type(discover)
        line = followed(second, discover.strip().splitlines()[-1], states)
        (project,) = json.loads(second.type(projects))["projects"]
        (link,) = re.findall(
            r'href="/task/([^/]*)/download/[^"]*orthophoto.tif"', httpx.get(ports.gateway_url).text
        )
        picture = orthophoto(ports.gateway_url, link)
        second.type("kill %1; wait %1")

    assert [system["id"] for system in json.loads(seen)["systems"]] == [SYSTEM, "ptdatax.project.demo-2"]
    assert f"would be created: {PROJECT}, 6 images in Flight001/code/images" in found
    assert f"\ncreated: {PROJECT}, 6 images in Flight001/code/images" in found
    assert line.split()[-3:] == ["Flight001", "6", "images"]
    assert (project["id"], project["name"], project["task_count"]) == (1, PROJECT, 1)
    assert mapped_share(picture) > 0.5


def until_it_listens(url: str, within_s: float = 60) -> None:
    """Wait for a server."""
    give_up = time.monotonic() + within_s
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError:
            assert time.monotonic() < give_up
            time.sleep(0.1)
        else:
            return


def followed(shell: Terminal, command: str, states: list[str], within_s: float = 90) -> str:
    """Repeat ``flightline flights`` until the flight is in the last of the states, and return its line."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        line = shell.type(command).strip()
        state = line.split()[1]
        assert state in states, line
        if state == states[-1]:
            return line
        time.sleep(1)
    raise AssertionError(line)


@pytest.mark.long
def test_a_browser_and_the_http_api_do_the_same_on_servers(
    servers: Column, storage: Path, ports: Ports
) -> None:
    arguments = ("--port", str(ports.tapis), "--callback-url", ports.callback_url, "--json")
    with servers.running("simulate", "tapis", str(storage), *arguments) as simulator:
        assert simulator.stdout
        facts = json.loads(simulator.stdout.readline())
        environment = facts["environment"] | ports.environment | QUIET
        secret = {"FLIGHTLINE_SECRETS_KEY": "of thirty-two characters or more", "DISCOVERY_SETTLE": "1s"}
        with servers.running("up", **environment, **secret), httpx.Client(timeout=30) as browser:
            until_it_listens(f"{ports.discovery_url}/healthz")
            login = logged_in(browser, facts)
            browser.base_url = httpx.URL(ports.discovery_url)
            api = "/api/tapis-storage"
            systems = browser.get(f"{api}/systems/").json()
            found = browser.post(f"{api}/discover-flights/").json()
            made = [
                browser.post(f"{api}/create-projects/", json=wanted).json()["results"]
                for wanted in ({"flights": found["flights"]}, {"auto_discover": True})
            ]
            flight = ended(browser)
            (project,) = browser.get(f"{api}/flight-projects/").json()["projects"]
            synced = browser.post(f"{api}/sync-project-images/", json={"project_id": project["id"]}).json()
            stranger = httpx.get(f"{ports.discovery_url}/api/flights/{flight['flight_id']}")
            picture = orthophoto(ports.gateway_url, flight["runs"][-1]["task_id"])

    assert (login["user"], login["tokens"][0]["is_renewable"]) == ("demo@portals", True)
    assert (systems["count"], found["count"]) == (2, 1)
    assert [one["projects_created"] for one in made] == [1, 0]
    assert made[0]["created_projects"] == made[1]["existing_projects"]
    assert (flight["state"], flight["owner"], flight["errors"]) == ("completed", "demo@portals", [])
    assert [stage["state"] for stage in flight["stages"]] == ["done", "done", "done"]
    assert all(product.startswith(servers.backends["objects"]) for product in flight["products"])
    assert (project["name"], project["flight_id"]) == (PROJECT, flight["flight_id"])
    assert synced == {"success": True, "message": "Flight001 is unchanged: 6 of 6 images are staged."}
    assert stranger.status_code == 401
    assert mapped_share(picture) > 0.5


def logged_in(browser: httpx.Client, facts: dict[str, Any]) -> dict[str, Any]:
    """Log in by the pages that a user sees, and return what the last one says."""
    page = browser.get(facts["login_url"], follow_redirects=True)
    for typed in ({"username": facts["username"], "password": facts["password"]}, {"approve": "yes"}):
        form = dict(_HIDDEN.findall(page.text)) | typed
        page = browser.post(page.url, data=form, follow_redirects=True)
    assert page.status_code == 200, page.text
    login: dict[str, Any] = page.json()
    return login


def ended(browser: httpx.Client, within_s: float = 90) -> dict[str, Any]:
    """Wait for the only flight to end, and return it."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        (flight,) = browser.get("/api/flights/").json()["flights"]
        if flight["state"] in ("completed", "failed"):
            whole: dict[str, Any] = browser.get(f"/api/flights/{flight['flight_id']}").json()
            return whole
        time.sleep(0.2)
    raise AssertionError(flight)
