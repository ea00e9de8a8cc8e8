"""``datalab users|tokens|sessions`` and the test data."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datalab.administering.command import administer
from datalab.administering.test_data import TOKEN, USER, populated
from datalab.config import Settings
from datalab.resources import resources
from shared.errors import ConflictError
from tests.datalab.api.calling import SESSIONS, made, uploaded
from tests.support.lab import COUNTING, RunningLab, running_lab
from tests.support.logs import restored_logging


@pytest.fixture
def run(
    lab: RunningLab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Run]:
    """Return what runs commands beside the service, on its documents."""
    monkeypatch.setenv("FLIGHTLINE_HOME", str(lab.platform.settings.home))
    with restored_logging():
        yield Run(monkeypatch, capsys, tmp_path)


class Run:
    """Runs commands."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
    ) -> None:
        self._monkeypatch, self._capsys, self._folder = monkeypatch, capsys, folder

    def __call__(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """Return what a command says; ``given`` is on its standard input."""
        typed = self._folder / "typed"
        typed.write_text(given)
        with typed.open() as stdin:
            self._monkeypatch.setattr(sys, "stdin", stdin)
            assert administer(arguments) == code
        said = self._capsys.readouterr()
        return said.out + said.err


def test_a_user_is_added_lists_logs_in_and_is_removed(lab: RunningLab, run: Run) -> None:
    run("users", "add", "carl", "--admin", given="a good password\n")
    listed = run("users", "list")
    form = {"username": "carl", "password": "a good password"}
    token = lab.client().post("/api/api-token-auth/", json=form).json()["token"]
    run("users", "admin", "carl", "--off")
    made(lab.client(token))
    uploaded(lab.client(token))
    refused = run("users", "remove", "carl", code=1)
    run("users", "remove", "carl", "--with-data")

    assert "carl  yes    no      yes" in listed
    assert "say --with-data" in refused
    assert "carl" not in run("users", "list")
    assert lab.do(lab.accounts.tokens.count({"user": "carl"})) == 0


def test_a_password_is_changed(lab: RunningLab, run: Run) -> None:
    run("users", "add", "dana", "--no-password")
    run("users", "password", "dana", given="a good password\n")

    form = {"username": "dana", "password": "a good password"}
    assert lab.client().post("/api/api-token-auth/", json=form).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "given", "told", "code"),
    [
        (("users", "add", "x y"), "a good password", "A user's name is", 2),
        (("users", "add", "short"), "short", "A password has 8 to", 2),
        (("users", "password", "nobody"), "a good password", "no user nobody", 1),
        (("users", "remove", "nobody"), "", "no user nobody", 1),
        (("tokens", "add", "nobody"), "", "no user nobody", 1),
        (("tokens", "list", "nobody"), "", "no user nobody", 1),
        (("sessions", "show", "99999"), "", "no session 99999", 1),
        (("sessions", "remove", "99999"), "", "no session 99999", 1),
    ],
)
def test_what_cannot_be_done_is_told(
    run: Run, arguments: tuple[str, ...], given: str, told: str, code: int
) -> None:
    assert told in run(*arguments, given=f"{given}\n", code=code)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("frob",), "worker"),
        (("users",), "{list,add,password,admin,remove}"),
        (("tokens", "add"), "user"),
        (("sessions", "list", "--limit", "0"), "1 to 10000"),
        (("sessions", "show", "x"), "invalid int value"),
    ],
)
def test_a_bad_command_line_says_what_there_is(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        administer(arguments)

    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_programs_are_told_in_json(lab: RunningLab, run: Run) -> None:
    run("users", "add", "gerda", "--no-password")
    client = lab.client(run("tokens", "add", "gerda", "--label", "script").strip())
    session = made(client, "Hers")

    (user,) = [one for one in json.loads(run("users", "list", "--json")) if one["username"] == "gerda"]
    (token,) = json.loads(run("tokens", "list", "gerda", "--json"))
    (row,) = json.loads(run("sessions", "list", "--user", "gerda", "--json"))

    assert (user["is_admin"], user["from_portal"], user["has_password"]) == (False, False, False)
    assert (token["label"], len(token["id"])) == ("script", 16)
    assert row == {
        "id": session["id"],
        "user": "gerda",
        "name": "Hers",
        "operation_count": 0,
        "created": session["created"],
        "modified": session["modified"],
    }


def test_tokens_are_added_listed_and_revoked(lab: RunningLab, run: Run) -> None:
    run("users", "add", "eric", "--no-password")
    token = run("tokens", "add", "eric", "--label", "notebook").strip()
    assert lab.client(token).get(SESSIONS).status_code == 200
    row = run("tokens", "list", "eric").splitlines()[1]

    run("tokens", "revoke", "eric", row.split()[0])

    assert "notebook" in row
    assert token not in row
    assert "notebook" not in run("tokens", "list", "eric")
    assert "no such token" in run("tokens", "revoke", "eric", "", code=1)


def test_sessions_are_listed_shown_and_removed(lab: RunningLab, run: Run) -> None:
    me = lab.user("fritz")
    session = made(me, "Bel\x1bla")["id"]

    listed = run("sessions", "list", "--user", "fritz")
    shown = run("sessions", "show", str(session))
    run("sessions", "remove", str(session))

    assert "Bel\N{REPLACEMENT CHARACTER}la" in listed
    assert '"user": "fritz"' in shown
    assert me.get(f"{SESSIONS}{session}/").status_code == 404
    assert "fritz" not in run("sessions", "list")


def test_the_command_tells_what_it_can_do() -> None:
    command = [str(Path(sys.executable).with_name("datalab")), "--help"]

    helped = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "populate-test-data" in helped.stdout
    assert "DATALAB_PORTAL_URL" in helped.stdout


def test_the_test_data_is_made_once(tmp_path: Path) -> None:
    with running_lab(tmp_path) as lab:
        for _ in range(2):
            lab.do(_populate(lab))
        found = lab.client(TOKEN).get(SESSIONS).json()

    assert {session["name"] for session in found["results"]} == {"Empty Data Session", "MyDataSession1"}
    (filled,) = [session for session in found["results"] if session["operations"]]
    assert [operation["name"] for operation in filled["operations"]] == ["Median"]
    assert len(filled["input_data"]) == 3
    assert {session["user"] for session in found["results"]} == {USER}


def test_the_test_data_is_not_made_where_others_work_unless_that_is_meant(tmp_path: Path) -> None:
    with running_lab(tmp_path) as lab:
        lab.user("somebody")
        with pytest.raises(ConflictError, match="say --yes"):
            lab.do(_populate(lab))
        assert lab.client(TOKEN).get(SESSIONS).status_code == 401
        lab.do(_populate(lab, is_sure=True))
        assert lab.client(TOKEN).get(SESSIONS).json()["count"] == 2


def test_the_sessions_of_the_test_data_are_made_for_others_too(tmp_path: Path) -> None:
    with running_lab(tmp_path) as lab:
        somebody = lab.user("somebody")
        lab.do(_populate(lab, "somebody"))

        assert somebody.get(SESSIONS).json()["count"] == 2
        assert lab.client(TOKEN).get(SESSIONS).status_code == 401


async def _populate(lab: RunningLab, name: str = USER, *, is_sure: bool = False) -> None:
    """Do as the command does, beside the service."""
    settings = Settings(port=0, workers=0)
    await populated(resources(settings, lab.platform, COUNTING), settings, name, is_sure=is_sure)
