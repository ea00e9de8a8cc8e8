from __future__ import annotations

import json
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from flightline.simulate import app

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


def fly(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["flight", *arguments, "--photos", "2", "--megapixels", "0.03"])


def test_photos_and_truth_are_written(tmp_path: Path) -> None:
    result = fly(str(tmp_path / "site"))

    assert result.exit_code == 0
    assert len(list((tmp_path / "site").glob("*.JPG"))) == 2
    assert "Taking 2 photos" in result.stderr


def test_json_names_what_was_written(tmp_path: Path) -> None:
    result = fly(str(tmp_path), "--json")

    written = json.loads(result.stdout)
    assert written["photos"] == ["DJI_0001.JPG", "DJI_0002.JPG"]
    assert written["epsg"] == 32632


def test_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    result = fly(str(tmp_path))

    assert result.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_force_writes_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    assert fly(str(tmp_path), "--force").exit_code == 0


def test_flight_among_the_treetops_is_refused(tmp_path: Path) -> None:
    result = fly(str(tmp_path / "site"), "--altitude-m", "5")

    assert result.exit_code == 2
    assert "Too low" in result.stderr
