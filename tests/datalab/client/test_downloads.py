"""Downloads that break off, arrive damaged, or meet what is there already."""

from __future__ import annotations

from pathlib import Path

import pytest

from datalab_client import Datalab, DownloadError, InvalidError, NotThereError, Operation
from tests.datalab.client.conftest import Place

CUT_BYTES = 3000


@pytest.fixture
def median(lab: Datalab) -> Operation:
    """Return an operation with an image of some blocks."""
    return lab.session("downloads").run("Median", input_files=["star0", "star1"]).wait(60)


def test_what_breaks_off_goes_on_where_it_was(place: Place, median: Operation, tmp_path: Path) -> None:
    place.between.fail("/api/results/", cut_after_bytes=CUT_BYTES)

    (path,) = median.download(tmp_path)

    assert path.stat().st_size == median.output["output_files"][0]["size_bytes"]
    first, second = place.between.asked("/api/results/")
    assert "range" not in first.headers
    assert second.headers["range"] == f"bytes={CUT_BYTES}-"
    assert second.headers["if-range"].startswith('"')
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_store_that_is_busy_is_asked_again(
    place: Place, median: Operation, tmp_path: Path, status: int
) -> None:
    place.between.fail("/api/results/", status=status, headers={"Retry-After": "0"})

    assert len(median.download(tmp_path)) == 1
    assert len(place.between.asked("/api/results/")) == 2


def test_a_server_without_ranges_sends_all_again(place: Place, median: Operation, tmp_path: Path) -> None:
    place.between.fail("/api/results/", cut_after_bytes=CUT_BYTES)
    place.between.fail("/api/results/", without_ranges=True)

    (path,) = median.download(tmp_path)

    assert path.stat().st_size == median.output["output_files"][0]["size_bytes"]


def test_what_is_left_of_an_earlier_download_is_used(place: Place, median: Operation, tmp_path: Path) -> None:
    (whole,) = median.download(tmp_path / "whole")
    part = tmp_path / f"{whole.name}.part"
    part.write_bytes(whole.read_bytes()[:CUT_BYTES])
    place.between.forget()

    (path,) = median.download(tmp_path)

    assert path.read_bytes() == whole.read_bytes()
    assert place.between.heard[0].headers["range"] == f"bytes={CUT_BYTES}-"
    assert not part.exists()


@pytest.mark.parametrize("left", [b"x" * CUT_BYTES, b"x" * 10_000_000])
def test_what_is_left_of_another_file_does_no_harm(median: Operation, tmp_path: Path, left: bytes) -> None:
    (whole,) = median.download(tmp_path / "whole")
    (tmp_path / f"{whole.name}.part").write_bytes(left)

    (path,) = median.download(tmp_path)

    assert path.read_bytes() == whole.read_bytes()


def test_what_arrives_damaged_is_brought_again_and_then_told(
    place: Place, median: Operation, tmp_path: Path
) -> None:
    place.between.fail("/api/results/", damaged=True)
    (path,) = median.download(tmp_path / "once")
    assert path.stat().st_size

    place.between.fail("/api/results/", damaged=True, times=2)
    with pytest.raises(DownloadError, match="arrived damaged"):
        median.download(tmp_path / "twice")
    assert list((tmp_path / "twice").iterdir()) == []


def test_what_is_there_already_is_not_brought_again(place: Place, median: Operation, tmp_path: Path) -> None:
    (path,) = median.download(tmp_path)
    place.between.forget()

    assert median.download(tmp_path) == [path]
    assert place.between.heard == []


@pytest.mark.parametrize("kind", ["fits", "large"])
def test_another_file_is_replaced_only_when_asked(median: Operation, tmp_path: Path, kind: str) -> None:
    (path,) = median.download(tmp_path, kinds=kind)
    content = path.read_bytes()
    path.write_bytes(b"mine")

    with pytest.raises(DownloadError, match="is another file; `overwrite=True` replaces it"):
        median.download(tmp_path, kinds=kind)
    assert path.read_bytes() == b"mine"

    median.download(tmp_path, kinds=kind, overwrite=True)
    assert path.read_bytes() == content


def test_a_link_that_counts_no_longer_is_asked_for_again(
    place: Place, median: Operation, tmp_path: Path
) -> None:
    place.between.fail("/api/results/", status=403)

    assert len(median.download(tmp_path)) == 1


def test_a_store_that_goes_away_for_long_is_told(place: Place, median: Operation, tmp_path: Path) -> None:
    with place.client(patience_s=0.3) as other:
        theirs = other.session("other").run("Median", input_files=["star0", "star1"]).wait(60)
        place.between.fail("/api/results/", cut_after_bytes=CUT_BYTES)
        place.between.fail("/api/results/", cut_after_bytes=0, times=50)
        with pytest.raises(DownloadError, match=f"broke off after {CUT_BYTES} bytes"):
            theirs.download(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"median-{theirs.id}.fits.part"]
    assert median.has_ended


def test_an_operation_without_files_says_so(lab: Datalab, tmp_path: Path) -> None:
    data = lab.session("data").run("Trouble", how="chatter").wait(60)

    with pytest.raises(NotThereError, match="look at its `data`"):
        data.download(tmp_path)
    with pytest.raises(InvalidError, match="no files of kind picture"):
        lab.session("data").run("Sum", input_files="frame0").download(tmp_path, kinds=["picture"])
