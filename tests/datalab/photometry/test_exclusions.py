"""An image that makes a library fail is left out; what is the machine's fault, or ours, is not hidden."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from structlog.testing import capture_logs

from datalab.operations.aperture_photometry import AperturePhotometry
from datalab.operations.light_curve import LightCurve
from datalab.photometry.exclusions import Exclusions
from shared.errors import TransientError
from tests.datalab.photometry.working import APERTURES, night, refs, run, written


def test_an_image_that_nobody_has_thought_of_is_left_out_with_a_reason() -> None:
    excluded = Exclusions()
    with capture_logs() as logs, excluded.without("odd.fits"):
        raise ValueError("a library's")

    assert excluded.reasons == {"odd.fits": "it cannot be worked on (ValueError)"}
    assert [entry["image"] for entry in logs] == ["odd.fits"]


@pytest.mark.parametrize(
    "error", [MemoryError(), TransientError("later"), OSError(errno.ENOSPC, "No space left on device")]
)
def test_what_is_the_machine_s_ends_it(error: Exception) -> None:
    with pytest.raises(type(error)), Exclusions().without("fine.fits"):
        raise error


def test_when_nothing_is_left_the_fault_is_told_as_what_it_is() -> None:
    excluded = Exclusions()
    with excluded.without("odd.fits"):
        raise ZeroDivisionError

    assert isinstance(excluded.nothing_left("No image"), ZeroDivisionError)


def test_a_header_that_a_library_fails_on_leaves_one_image_out(tmp_path: Path) -> None:
    fields = night(4)
    paths = written(tmp_path, fields)
    with fits.open(paths[1], mode="update") as units:
        del units["SCI"].header["DATE-OBS"]
        units["SCI"].header["MJD-OBS"] = 1e10
    star = fields[0].truth[int(np.argmin(fields[0].truth["mag"]))]
    place = {"ra": float(star["ra"]), "dec": float(star["dec"])}
    files = refs(paths)

    curve = run(LightCurve, tmp_path, source=place, input_files=files).data[0]
    apertures = run(
        AperturePhotometry,
        tmp_path,
        target_positions=[place],
        input_files=files,
        **{**APERTURES, "min_comparisons": 2},
    ).data[0]

    for found in (curve, apertures):
        assert found["excluded_reasons"] == {paths[1].name: "it cannot be worked on (ErfaError)"}
        assert len(found["light_curve"]) == 3
