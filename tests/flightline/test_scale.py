"""``flightline scale``: what it writes, says and leaves alone."""

from __future__ import annotations

import json
import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner, Result

from flightline.main import app
from tests.scaler.imaging.pictures import jpeg, picture, png
from tests.support.small_disk import CannotMountError, small_disk

PHOTO = jpeg(picture(64, 48))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two photos, a picture of another format with the wrong name, and a text."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "DJI_0001.JPG").write_bytes(PHOTO)
    (folder / "DJI_0002.JPG").write_bytes(jpeg(picture(32, 24)))
    (folder / "wrong.jpg").write_bytes(png((20, 10), (8, 2), bytes(60)))
    (folder / "notes.txt").write_text("not an image")
    os.utime(folder / "DJI_0001.JPG", ns=(1_700_000_000_123_456_789,) * 2)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "out"


def scale(*words: object) -> Result:
    return CliRunner().invoke(app, ["scale", *map(str, words)])


def scaled(*words: object) -> dict[str, Any]:
    found = scale(*words, "--json")
    document: dict[str, Any] = json.loads(found.stdout)
    return document


def shape(path: Path) -> Any:
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return pixels.shape


def test_a_folder_is_scaled_with_the_times_of_its_files_and_only_once(folder: Path, out: Path) -> None:
    document = scaled(folder, "--out", out, "--factor", "1.5", "--interpolation", "cubic", "--quality", "80")

    assert sorted(path.name for path in out.iterdir()) == ["DJI_0001.JPG", "DJI_0002.JPG", "wrong.png"]
    assert shape(out / "DJI_0001.JPG") == (72, 96, 3)
    assert (out / "DJI_0001.JPG").stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert stat.S_IMODE((out / "DJI_0001.JPG").stat().st_mode) & 0o400
    assert (document["scaled"], document["unchanged"], document["rejected"]) == (3, 0, 0)
    for one in document["images"]:
        assert sha256(Path(one["target"]).read_bytes()).hexdigest() == one["sha256"]

    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.iterdir()}
    again = scaled(folder, "--out", out, "--factor", "1.5", "--interpolation", "cubic", "--quality", "80")

    assert (again["scaled"], again["unchanged"]) == (0, 3)
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.iterdir()} == before


def test_another_file_of_the_same_name_is_not_overwritten_not_even_the_original(folder: Path) -> None:
    document = scaled(folder / "DJI_0001.JPG", "--out", folder)

    assert (folder / "DJI_0001.JPG").read_bytes() == PHOTO
    assert document["images"][0]["target"] == str(folder / "DJI_0001-2.JPG")
    assert shape(folder / "DJI_0001-2.JPG") == (96, 128, 3)


def test_what_cannot_be_scaled_is_said_with_its_reason_and_the_rest_is_done(folder: Path, out: Path) -> None:
    (folder / "cut.jpg").write_bytes(PHOTO[:-20])
    (folder / "empty.jpg").touch()
    for name in ("DJI_0001.JPG", "DJI_0002.JPG"):
        with (folder / name).open("ab") as file:
            file.write(b"a gain map" * 10)

    found = scale(folder, folder / "notes.txt", "--out", out)

    assert found.exit_code == 1
    assert "cut.jpg: the JPEG ends before its last pixel (truncated)" in found.stderr
    assert "empty.jpg: the file is empty (zero-bytes)" in found.stderr
    assert "notes.txt: this is neither JPEG, PNG, TIFF nor WebP (not-an-image)" in found.stderr
    assert "3 images scaled, 3 rejected" in found.stdout
    assert "of 2 images: left out: 100 bytes behind the photo" in found.stdout
    assert len(list(out.iterdir())) == 3


def test_a_dry_run_tells_and_writes_nothing(folder: Path, out: Path) -> None:
    found = scale(folder, "--out", out, "--dry-run", "--factor", "4")

    assert found.exit_code == 0
    assert "DJI_0001.JPG: 256 x 192 pixels" in found.stdout
    assert "3 images would be scaled" in found.stdout
    assert not out.parent.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["nothing.jpg"],
        ["in", "--factor", "9"],
        ["in", "--quality", "0"],
        ["empty"],
        ["in", "--interpolation", "sinc"],
        ["in", "--out", "in/DJI_0001.JPG"],
        [],
    ],
)
def test_bad_input_is_told_by_an_exit_code_and_writes_nothing(folder: Path, words: list[str]) -> None:
    (folder.parent / "empty").mkdir()
    given = [
        str(folder.parent / word) if not word.startswith("-") and i == 0 else word
        for i, word in enumerate(words)
    ]
    given = [str(folder.parent / word) if word.startswith("in/") else word for word in given]
    given += [] if "--out" in words else ["--out", str(folder.parent / "out")]

    assert scale(*given).exit_code == 2
    assert not (folder.parent / "out").exists()


def test_a_full_disk_is_told_and_what_is_half_written_is_gone(folder: Path) -> None:
    try:
        with small_disk(folder.parent / "disk", 4096) as disk:
            found = scale(folder / "DJI_0001.JPG", "--out", disk, "--factor", "4")

            assert list(disk.iterdir()) == []
    except CannotMountError as error:
        pytest.skip(f"no small disk here: {error}")

    assert found.exit_code == 75
    assert "there is no room in" in found.stderr
