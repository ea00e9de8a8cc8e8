"""Files and parameters as users write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datalab_client import Channel, Datalab, From, InvalidError
from tests.datalab.client.conftest import local_files


def test_frames_of_the_archive_uploads_and_items_are_named_as_the_server_does(
    lab: Datalab, tmp_path: Path
) -> None:
    (path,) = local_files(tmp_path, 1)
    upload = lab.upload(path, "night.fits")
    own = {"source": "datalab", "basename": "b", "filter": "rp"}

    found = lab._inputs.files([" frame-1 ", upload, own])

    assert found == [
        {"type": "fitsfile", "source": "archive", "basename": "frame-1"},
        {"type": "fitsfile", "source": "upload", "basename": "night.fits"},
        own,
    ]


def test_a_channel_has_its_file_color_and_levels(lab: Datalab) -> None:
    found = lab._inputs.files([Channel("r", "#ff8000"), Channel("g", (0, 255, 0), zmin=1.5, zmax=9)])

    assert found[0]["color"] == {"r": 255, "g": 128, "b": 0}
    assert found[1] == {
        "type": "fitsfile",
        "source": "archive",
        "basename": "g",
        "color": {"r": 0, "g": 255, "b": 0},
        "zmin": 1.5,
        "zmax": 9,
    }
    (later,) = lab._inputs.files(Channel(From("aligned", 1), "#000000"))
    assert later == {"from": "aligned", "index": 1, "color": {"r": 0, "g": 0, "b": 0}}
    with pytest.raises(InvalidError, match="'red' is no color"):
        lab._inputs.files(Channel("r", "red"))


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s: s.run("Medain", input_files="a"), r"no operation 'Medain' \(did you mean 'Median'\?\)"),
        (lambda s: s.run("Sum", input_file="a"), r"no input 'input_file' \(did you mean 'input_files'\?\)"),
        (lambda s: s.run("Sum"), r"input_data: input_files: This field is required\."),
        (lambda s: s.run("Sum", input_files="a", take_s="soon"), r"take_s: .* \(you gave 'soon'\)"),
        (
            lambda s: s.run("Stacking", input_files="a"),
            r"input_files: .*at least 2 items.* \(you gave 1 items\)",
        ),
        (lambda s: s.run("Sum", input_files=[7]), "7 is no file: give a basename, a path, an upload"),
        (lambda s: s.run("Sum", input_files="a", take_s=float("nan")), "not finite"),
        (lambda s: s.run("Sum", input_files="a", take_s=object()), "A object cannot be sent"),
        (lambda s: s.add("nothing-here/*.fits"), r"no file nothing-here/\*\.fits here"),
        (lambda s: s.add("frame-e91.fits.fz"), "A frame of the archive is named without an ending"),
        (lambda s: s.rename("x" * 300), r"name: .*256 characters.*\(you gave 'x+…\)"),
    ],
)
def test_what_is_wrong_is_told_with_its_field_and_value(
    lab: Datalab, ask: Callable[[Any], object], said: str
) -> None:
    session = lab.session("wrong")

    with pytest.raises(InvalidError, match=said):
        ask(session)

    assert session.refresh().operations == []


def test_an_operation_without_images_is_no_input(lab: Datalab) -> None:
    session = lab.session("data")
    data = session.run("Trouble", how="chatter")

    with pytest.raises(InvalidError, match=f"Trouble {data.id} made no images"):
        session.run("Sum", input_files=data)


def test_the_fields_of_an_error_can_be_read(lab: Datalab) -> None:
    with pytest.raises(InvalidError) as told:
        lab.session("fields").run("Sum", input_files="a", take_s="soon")

    assert list(told.value.fields) == ["input_data"]


def test_numbers_of_numpy_are_taken(lab: Datalab) -> None:
    total = lab.session("numpy").run("Sum", input_files="frame0", outputs=np.int64(2), take_s=np.float32(0))

    assert (total.input_data["outputs"], total.input_data["take_s"]) == (2, 0)


def test_the_same_file_is_brought_once(lab: Datalab, tmp_path: Path) -> None:
    paths = local_files(tmp_path)
    session = lab.session("once").add(paths)

    session.add(str(tmp_path / "local-?.fits"), paths[0])

    assert len(session.input_data) == 2
    paths[0].write_bytes(paths[1].read_bytes())
    with pytest.raises(InvalidError, match=r"You have another file local-0\.fits: delete it"):
        session.add(paths[0])
    next(one for one in lab.uploads() if one.basename == "local-0.fits").delete()
    session.add(paths[0])


def test_what_is_no_image_is_not_brought(lab: Datalab, tmp_path: Path) -> None:
    (tmp_path / "notes.fits").write_text("notes")

    with pytest.raises(InvalidError, match=r"notes\.fits is neither a FITS file nor a TIFF"):
        lab.upload(tmp_path / "notes.fits")
    with pytest.raises(InvalidError, match="There is no file"):
        lab.upload(tmp_path)
