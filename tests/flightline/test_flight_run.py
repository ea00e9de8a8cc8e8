from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flightline.applications import CREATE_APP
from flightline.flight_run import flight_options, source_uri
from flightline.pipeline import SUBSCRIPTIONS, parts
from shared.errors import InvalidInputError
from tests.support.columns import Column
from tests.support.zygote import Zygote


def test_a_folder_becomes_a_uri_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "field #7 50%"
    folder.mkdir()

    assert source_uri(str(folder)) == folder.as_uri()
    assert source_uri("s3://bucket/flight") == "s3://bucket/flight"


@pytest.mark.parametrize(("name", "what"), [("nothing", "does not exist"), ("file", "is no folder")])
def test_what_is_no_folder_is_said(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match=f"{name} {what}; name a folder"):
        source_uri(str(tmp_path / name))


def test_options_are_names_and_values() -> None:
    options = flight_options(["orthophoto-resolution=5", "boundary={}=x", "gltf="])

    assert [(option.name, option.value) for option in options.process] == [
        ("orthophoto-resolution", "5"),
        ("boundary", "{}=x"),
        ("gltf", ""),
    ]


@pytest.mark.parametrize("text", ["fast", "=5", "", "x" * 101 + "=1"])
def test_an_option_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--set"):
        flight_options([text])


def test_a_scale_is_asked_for_along_with_the_options() -> None:
    assert flight_options(["fast-orthophoto=true"], 2).scale == 2


def test_what_scales_is_not_imported_unless_it_is_needed() -> None:
    code = "import sys, flightline.flight_run; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"scaler.resources", "mover.resources", "cv2", "simplejpeg", "aiohttp"} & set(loaded.split())


@pytest.fixture
def column(tmp_path: Path, parent: Zygote) -> Column:
    (tmp_path / "home").mkdir()
    return Column(tmp_path / "home", parent=parent)


def said(ended: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    return ended.returncode, ended.stderr.strip().splitlines()[-1]


def test_an_unknown_folder_ends_with_bad_input(column: Column) -> None:
    code, text = said(column.run("run", "/nowhere"))

    assert (code, text) == (
        2,
        "flightline run: /nowhere does not exist; name a folder of images, or a URI",
    )


def test_a_folder_without_images_ends_with_failure(column: Column, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = column.run("run", str(tmp_path / "empty"))

    assert said(result)[0] == 1
    assert said(result)[1].startswith(f"flightline run: no images in {(tmp_path / 'empty').as_uri()}")


def test_a_folder_of_several_flights_asks_for_one_and_begins_none(column: Column, tmp_path: Path) -> None:
    for name in ("east", "west"):
        (tmp_path / "root" / name / "code" / "images").mkdir(parents=True)
        (tmp_path / "root" / name / "code" / "images" / "1.jpg").write_bytes(b"\xff\xd8\xff")
    code, text = said(column.run("run", str(tmp_path / "root")))

    assert code == 2
    assert "holds 2 flights (east/code/images, west/code/images, …); name the folder of one" in text
    assert column.run_json("flights") == []


@pytest.mark.long
def test_a_broker_out_of_reach_ends_with_try_again_later(column: Column, tmp_path: Path) -> None:
    (tmp_path / "flight").mkdir()
    (tmp_path / "flight" / "1.jpg").write_bytes(b"\xff\xd8\xff")
    away = Column(column.home, {"bus": "amqp://guest:secret@127.0.0.1:1/"})
    code, text = said(away.run("run", str(tmp_path / "flight")))

    assert code == 75
    assert "secret" not in text


def test_a_wrong_setting_ends_with_bad_input(column: Column) -> None:
    result = column.run("run", "/tmp", FLIGHTLINE_RETRY_LADDER="soon")

    assert result.returncode == 2
    assert "FLIGHTLINE_RETRY_LADDER" in result.stderr
    assert "Traceback" not in result.stderr


def test_errors_are_json_where_json_is_wanted(column: Column) -> None:
    assert column.run_json("run", "/nowhere") == {
        "status": "failed",
        "error": "/nowhere does not exist; name a folder of images, or a URI",
        "exit_code": 2,
    }


@pytest.mark.parametrize("place", ["file", "/proc/products"])
def test_a_place_for_products_is_refused_before_the_work(column: Column, tmp_path: Path, place: str) -> None:
    (tmp_path / "flight").mkdir()
    (tmp_path / "flight" / "1.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "file").touch()
    code, text = said(column.run("run", str(tmp_path / "flight"), "--out", str(tmp_path / place)))

    assert code == 2
    assert f"products cannot be written to {tmp_path / place}" in text
    assert column.run_json("flights") == []


def test_the_queues_that_are_named_ahead_are_those_of_the_services() -> None:
    services = parts().values()
    assert {subscription for part in services for subscription in part.subscriptions} == set(SUBSCRIPTIONS)
    assert parts().keys() == CREATE_APP.keys()
