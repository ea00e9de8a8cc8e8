"""``flightline discover`` as a user types it, against a simulated tenant."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.discovery.tapis import BOB, CLIENT_ID, CLIENT_KEY, SYSTEM
from tests.support.tapis import PASSWORD, USER, TapisServer, tapis_server
from tests.support.zygote import Zygote

OTHER = "ptdatax.project.PTDATAX-2"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command said, and how it ended."""

    code: int
    out: str
    said: str

    @property
    def report(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


@dataclass(frozen=True, slots=True)
class Shell:
    """A user's shell, on a machine that knows a tenant and its service account."""

    tapis: TapisServer
    home: Path
    parent: Zygote

    async def run(self, *arguments: str, command: str = "flightline", **more: str) -> Ran:
        is_alias = command == "alias"
        main = "flightline.commands.discover:main" if is_alias else "flightline.entry:main"
        words = ["discover-tapis-flights"] if is_alias else ["flightline", "discover"]
        with TemporaryDirectory() as folder:
            out, said = Path(folder, "out"), Path(folder, "said")
            environment = {**os.environ, **self.environment, **more}
            child = self.parent.start(main, [*words, *arguments], environment, out, said)
            try:
                code = await asyncio.to_thread(child.wait, 100)
            finally:
                child.close()
            return Ran(code or 0, out.read_text(), said.read_text())

    @property
    def environment(self) -> dict[str, str]:
        return {
            "FLIGHTLINE_HOME": str(self.home),
            "FLIGHTLINE_TAPIS_URL": self.tapis.url,
            "FLIGHTLINE_TAPIS_TENANT": "tacc",
            "FLIGHTLINE_TAPIS_CLIENT_ID": CLIENT_ID,
            "FLIGHTLINE_TAPIS_CLIENT_KEY": CLIENT_KEY,
            "FLIGHTLINE_TAPIS_USERNAME": USER,
            "FLIGHTLINE_TAPIS_PASSWORD": PASSWORD,
        }


@pytest.fixture
async def shell(tmp_path: Path, parent: Zygote) -> AsyncIterator[Shell]:
    async with tapis_server(tenant="tacc") as server:
        server.tapis.accounts.add_client(USER, client_id=CLIENT_ID, client_key=CLIENT_KEY)
        yield Shell(server, tmp_path / "home", parent)


async def test_a_dry_run_tells_what_would_be_created_and_changes_nothing(shell: Shell) -> None:
    shell.tapis.flight(SYSTEM, "Flight1", 4)
    foreseen = [await shell.run("--user", USER, "--dry-run", "--json") for _ in range(2)]

    for ran in foreseen:
        assert ran.code == 0, ran.said
        (one,) = ran.report["would_create"]
        assert (one["project_name"], one["image_count"]) == (f"Flight1 ({SYSTEM})", 4)


async def test_projects_are_created_once_and_a_dry_run_then_says_why_not(shell: Shell) -> None:
    shell.tapis.flight(SYSTEM, "Flight1", 4)
    done = await shell.run("--user", USER, "--client-id", CLIENT_ID, "--json")
    again = await shell.run("--user", f"{USER}@tacc", "--json")
    foreseen = await shell.run("--user", USER, "--dry-run")

    assert [one["project_id"] for one in done.report["created_projects"]] == [1], (done.report, done.said)
    assert (again.report["created_projects"], again.code) == ([], 0)
    assert f"not created: Flight1 ({SYSTEM}): it has project 1 already" in foreseen.out


async def test_systems_are_named_as_the_document_does(shell: Shell) -> None:
    for system in (SYSTEM, OTHER, "ptdatax.project.PTDATAX-3"):
        shell.tapis.flight(system, "Flight1")
    ran = await shell.run("--user", USER, "--dry-run", "--json", "--systems", SYSTEM, OTHER)

    assert ran.report["systems_scanned"] == [SYSTEM, OTHER]


async def test_a_system_that_cannot_be_read_is_told_by_exit_code_3(shell: Shell) -> None:
    shell.tapis.flight(SYSTEM, "Flight1")
    ran = await shell.run("--user", USER, "--systems", SYSTEM, "ptdatax.project.none", "--json")

    assert (ran.code, ran.report["exit_code"]) == (3, 3)
    assert len(ran.report["created_projects"]) == 1
    assert ran.said.startswith("flightline discover: ptdatax.project.none: ")


async def test_a_user_who_is_not_logged_in_is_told_by_exit_code_77(shell: Shell) -> None:
    for arguments in (("--dry-run",), ("--json",)):
        ran = await shell.run("--user", BOB, *arguments)
        assert ran.code == 77
        assert "bob@tacc is not logged in" in ran.said


@pytest.mark.parametrize(
    "arguments",
    [
        ("--user", USER, "--client-id", "another"),
        ("--user", f"{USER}@elsewhere"),
        ("--user", USER, SYSTEM),
        (),
    ],
)
async def test_bad_input_is_told_by_exit_code_2(shell: Shell, arguments: tuple[str, ...]) -> None:
    ran = await shell.run(*arguments)

    assert ran.code == 2
    assert "Traceback" not in ran.said


async def test_without_a_tenant_the_settings_are_named(shell: Shell) -> None:
    ran = await shell.run("--user", USER, FLIGHTLINE_TAPIS_URL="", FLIGHTLINE_TAPIS_TENANT="")

    assert (ran.code, "FLIGHTLINE_TAPIS_URL" in ran.said) == (2, True)


async def test_its_former_name_works_as_well(shell: Shell) -> None:
    shell.tapis.flight(SYSTEM, "Flight1")
    ran = await shell.run("--user", USER, "--dry-run", command="alias")

    assert ran.code == 0
    assert "1 system looked at, 1 flight found, 1 project would be created" in ran.out
