from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from odm_gateway.orthophoto.models import LeftOut
from odm_gateway.orthophoto.mosaic import plan_mosaic
from odm_gateway.orthophoto.options import EngineOptions
from odm_gateway.orthophoto.report import facts, left_out_lines, report_pdf
from odm_gateway.orthophoto.stats import Run, gps_errors, statistics
from tests.support.scene import GPS_OFFSET_M, Scene, photographed

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEFT_OUT = tuple(LeftOut(f"IMG_{number:04}.JPG", "no_gps", "carries no GPS position") for number in range(14))
PREVIEW = np.full((60, 90, 4), (10, 200, 30, 255), np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    block, surface = photographed(Scene(), tmp_path_factory.mktemp("scene"))
    plan = plan_mosaic(block, surface, EngineOptions(max_concurrency=1))
    return Run(
        replace(block, left_out=LEFT_OUT), plan.canvas, plan.cover.area_m2, plan.photo_pixel_m,
        ("Photo (7) is blurred.",), {"features": 61.0, "matching": 4.5}, datetime(2026, 5, 2, tzinfo=UTC),
    )  # fmt: skip


def stats_of(run: Run) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(statistics(run), allow_nan=False))
    return told


def objects_of(pdf: bytes) -> list[bytes]:
    """Return what stands at each offset of the PDF's cross-reference table."""
    start = int(pdf.rsplit(b"startxref\n", 1)[1].split()[0])
    offsets = [int(entry) for entry in re.findall(rb"(\d{10}) 00000 n", pdf[start:])]
    return [pdf[offset : offset + 8] for offset in offsets]


def test_given_known_gps_offsets_when_summed_up_then_mean_and_spread_are_right(run: Run) -> None:
    errors: dict[str, Any] = gps_errors(run.block)

    assert [errors["mean"][axis] for axis in "xyz"] == pytest.approx(GPS_OFFSET_M, abs=0.001)
    assert errors["std"]["x"] == pytest.approx(0, abs=0.001)
    assert errors["ce90"] == pytest.approx(np.hypot(0.3, 0.2), abs=0.001)


def test_given_photos_without_altitude_when_summed_up_then_horizontal_errors_stand(run: Run) -> None:
    photos = tuple(replace(photo, altitude_m=None) for photo in run.block.photos)

    errors: dict[str, Any] = gps_errors(replace(run.block, photos=photos))

    assert errors["mean"]["x"] == pytest.approx(0.3, abs=0.001)
    assert errors["mean"]["z"] == 0


def test_given_a_run_when_told_then_webodm_finds_its_keys(run: Run) -> None:
    told = stats_of(run)

    assert told["odm_processing_statistics"]["average_gsd"] == pytest.approx(15.6, abs=0.1)
    assert told["odm_processing_statistics"]["total_time_human"] == "1m:06s"
    assert told["processing_statistics"]["start_date"] == "01/05/2026 at 12:00:00"


def test_given_a_run_when_told_then_counts_agree_with_the_block(run: Run) -> None:
    told = stats_of(run)["reconstruction_statistics"]

    assert (told["initial_shots_count"], told["reconstructed_shots_count"]) == (20, 6)
    assert told["reconstructed_points_count"] == len(run.block.points)
    assert stats_of(run)["point_cloud_statistics"] == {"dense": False}


def test_given_a_run_when_told_then_left_out_photos_and_warnings_are_named(run: Run) -> None:
    told = stats_of(run)

    assert told["left_out"][13]["filename"] == "IMG_0013.JPG"
    assert told["warnings"] == ["Photo (7) is blurred."]


def test_given_a_residual_that_is_unknown_when_told_then_it_is_null(run: Run) -> None:
    residuals = replace(run.block.gps_residuals, up_m=float("nan"))

    told = stats_of(replace(run, block=replace(run.block, gps_residuals=residuals)))

    assert told["gps_errors"]["error"]["z"] is None


def test_given_many_left_out_photos_when_listed_then_the_rest_is_counted(run: Run) -> None:
    assert left_out_lines(run, 2) == [
        "IMG_0000.JPG carries no GPS position",
        "IMG_0001.JPG carries no GPS position",
        "and 12 more, listed in stats.json",
    ]


def test_given_a_run_when_its_facts_are_told_then_they_carry_units(run: Run) -> None:
    told = dict(facts(run))

    assert told["Photos used"] == "6 of 20"
    assert told["Positions less GPS, rms"] == "0.20 m east, 0.30 m north, 0.40 m up"


def test_given_a_report_when_read_as_pdf_then_its_table_points_at_its_objects(run: Run) -> None:
    pdf = report_pdf(run, PREVIEW)

    assert pdf.startswith(b"%PDF-1.4")
    assert objects_of(pdf) == [b"%d 0 obj\n" % number for number in range(1, 8)]


def test_given_brackets_in_a_warning_when_printed_then_they_are_escaped(run: Run) -> None:
    pdf = report_pdf(run, PREVIEW)

    assert rb"(Photo \(7\) is blurred.) Tj" in pdf
    assert b"6 of 20" in pdf


@pytest.mark.parametrize("shape", [(10, 400, 4), (400, 10, 4)])
def test_given_a_long_map_when_printed_then_it_stays_on_the_page(run: Run, shape: tuple[int, ...]) -> None:
    preview: NDArray[np.uint8] = np.zeros(shape, np.uint8)

    placed = re.search(rb"q ([\d.]+) 0 0 ([\d.]+) ([\d.]+) ([\d.]+) cm", report_pdf(run, preview))

    assert placed is not None
    width, height, left, bottom = (float(value) for value in placed.groups())
    assert (left + width <= 595, bottom + height <= 842, min(left, bottom) > 0) == (True, True, True)
