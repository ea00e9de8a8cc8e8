"""What an astronomer does in a notebook, against a real service, a real worker, and an archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from datalab_client import Datalab, InvalidError, Operation, OperationFailedError
from datalab_client.pages import each
from tests.datalab.client.conftest import Place, local_files


def test_a_median_of_archive_frames_is_brought_whole(lab: Datalab, place: Place, tmp_path: Path) -> None:
    session = lab.session("M51 tonight")

    median = session.run("Median", input_files=["star0", "star1", "star2"]).wait(60)
    (path,) = median.download(tmp_path / "results")

    assert (median.status, median.progress, median.has_ended) == ("COMPLETED", 1.0, True)
    assert path == tmp_path / "results" / f"median-{median.id}.fits"
    frames = [fits.getdata(place.folder / f"star{number}.fits", "SCI") for number in range(3)]
    np.testing.assert_array_equal(fits.getdata(path, "SCI"), np.median(frames, axis=0))


def test_files_from_here_are_uploaded_once_and_worked_on(lab: Datalab, tmp_path: Path) -> None:
    paths = local_files(tmp_path)

    session = lab.session("mine").add(f"{tmp_path}/*.fits")
    median = session.run("Median", input_files=[paths[0], str(paths[1])]).wait(60)

    assert [one["basename"] for one in session.input_data] == ["local-0.fits", "local-1.fits"]
    assert median.status == "COMPLETED"
    assert sorted(one.basename for one in lab.uploads()) == ["local-0.fits", "local-1.fits"]


def test_what_an_operation_made_is_worked_on_by_the_next(lab: Datalab, tmp_path: Path) -> None:
    session = lab.session("chain")
    normalized = session.run("Normalization", input_files=["star0", "star1"])

    median = session.run("Median", input_files=normalized).wait(60)
    again = session.run("Median", input_files=normalized.files).wait(60)

    assert normalized.has_ended  # it was waited for
    assert [one["source"] for one in median.input_data["input_files"]] == ["datalab", "datalab"]
    assert again.output == median.output
    names = [path.name for path in normalized.download(tmp_path)]
    assert names == [f"normalization-{normalized.id}-1.fits", f"normalization-{normalized.id}-2.fits"]


def test_a_failed_operation_raises_what_the_server_said(lab: Datalab) -> None:
    trouble = lab.session("trouble").run("Trouble", how="refuse")

    with pytest.raises(OperationFailedError, match="These frames have different filters"):
        trouble.wait(60)
    with pytest.raises(OperationFailedError, match="different filters"):
        trouble.download()


def test_cancelled_retried_deleted(lab: Datalab) -> None:
    session = lab.session("changes")
    slow = session.run("Sum", input_files=["frame0"], take_s=30.0)

    slow.cancel()
    with pytest.raises(OperationFailedError, match="Cancelled"):
        slow.wait(60)
    assert slow.retry().status in ("PENDING", "IN_PROGRESS")
    slow.cancel().delete()

    assert session.refresh().operations == []


def test_data_comes_as_rows(lab: Datalab) -> None:
    total = lab.session("rows").run("Sum", input_files=["frame0", "frame1"]).wait(60)

    assert total.data == [{"total": 300, "nothing": None}]
    assert total.output["provenance"]["operation"] == "Sum"


def test_very_many_rows_are_brought_when_they_are_looked_at(lab: Datalab, place: Place) -> None:
    total = lab.session("many").run("Sum", input_files=["frame0"], rows=1000).wait(60)
    (listed,) = lab.session("many").operations
    place.between.fail("/api/results/", cut_after_bytes=1000)

    assert "output_data" not in listed.output
    assert listed.data == total.data
    assert len(listed.data[0]["rows"]) == 1000
    assert len(place.between.asked("/api/results/")) == 2


def test_sessions_are_found_made_renamed_and_deleted(lab: Datalab) -> None:
    made = lab.session("one")

    assert lab.session(" one ").id == made.id
    assert lab.session(made.id).name == "one"
    assert lab.session("two").id != made.id
    assert made.rename("eins").name == "eins"
    made.delete()
    assert [one.name for one in lab.sessions()] == ["two"]
    assert [one.name for one in lab.sessions("TW", created_after="2024-01-01")] == ["two"]
    with pytest.raises(InvalidError):
        lab.session("  ")


def test_all_pages_of_sessions_are_read(lab: Datalab) -> None:
    made = [lab.session(f"session {number}").id for number in range(5)]

    found = [one["id"] for one in each(lab._connection, "/api/datasessions/", at_once=2)]

    assert found == made[::-1]


def test_an_operation_is_found_again_by_its_ids(lab: Datalab) -> None:
    session = lab.session("again")
    total = session.run("Sum", input_files="frame0")

    found = lab.session(session.id).operation(total.id).wait(60)

    assert isinstance(found, Operation)
    assert found.data[0]["total"] == 100


def test_files_are_asked_about(lab: Datalab, tmp_path: Path) -> None:
    (path,) = local_files(tmp_path, 1)

    by_file = lab.analyze("wcs", path)
    by_name = lab.analyze("wcs", basename=path.name, source="upload")

    assert by_file == by_name
    assert len(by_file["crval"]) == 2


def test_who_knows_name_and_password_gets_a_token(place: Place) -> None:
    place.lab.do(place.lab.accounts.add_user("vera", "a long password"))

    with Datalab.log_in(place.lab.url, "vera", "a long password", progress=False) as lab:
        assert lab.profile()["username"] == "vera"
    with pytest.raises(InvalidError, match="Unable to log in") as refused:
        Datalab.log_in(place.lab.url, "vera", "another password")
    assert "another password" not in str(refused.value)
