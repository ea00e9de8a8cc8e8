"""``flightline sync``: what people and programs are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from flightline.commands.sync import sync
from tests.ingest.scripted import jpeg


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a flight of three photographs, and backends of the test's own."""
    monkeypatch.setenv("FLIGHTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLIGHTLINE_RETRY_LADDER", "100ms")
    (tmp_path / "meadow").mkdir()
    for number in range(3):
        (tmp_path / "meadow" / f"{number}.jpg").write_bytes(jpeg(str(number)))
    return tmp_path / "meadow"


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(sync)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout


def run_json(named: str) -> dict[str, Any]:
    code, text = run(named, "--json")
    assert code == 0, text
    return dict(json.loads(text))


def test_only_what_is_new_is_read(folder: Path) -> None:
    first, again = run_json(str(folder)), run_json("meadow")
    (folder / "new.jpg").write_bytes(jpeg("new"))
    grown = run_json(first["flight_id"])

    assert [each["images"] for each in (first, again, grown)] == [3, 3, 4]
    assert [each["unchanged"] for each in (first, again, grown)] == [False, True, False]
    assert [each["read_bytes"] for each in (first, again, grown)] == [
        3 * len(jpeg("0")),
        0,
        len(jpeg("new")),
    ]


def test_people_are_told_what_was_left_out(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"hello")
    code, text = run(str(folder))

    assert code == 0
    assert text.startswith("meadow: 3 images")
    assert "left out: 1 not-an-image" in text


def test_a_flight_that_fails_says_why(folder: Path) -> None:
    for image in folder.iterdir():
        image.write_bytes(b"hello")
    code, text = run(str(folder), "--json")

    assert code == 1
    assert "is a usable image" in json.loads(text)["error"]


def test_an_unknown_flight_is_bad_input(folder: Path) -> None:
    assert folder.is_dir()
    assert run("nobody")[0] == 2
