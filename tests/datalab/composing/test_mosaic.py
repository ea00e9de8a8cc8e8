"""Mosaic: images beside each other on the sky."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from reproject import reproject_interp
from reproject.mosaicking import reproject_and_coadd

from datalab.fits.reader import read_frame
from datalab.operations.mosaic import Mosaic
from datalab.operations.operation import OperationError
from tests.datalab.photometry.working import refs, run, written
from tests.support.star_fields import Field, star_field

SKY: dict[str, Any] = {"centre": (150.0, 2.2), "stars": 90}
WIDE = 256 * 0.39 / 3600


def tiles(**how: Any) -> list[Field]:
    """Two exposures beside each other, of which a quarter overlaps."""
    return [
        star_field(**SKY, **how),
        star_field(**SKY, exposure=1, pointing=(150.0 + 0.75 * WIDE, 2.2), **how),
    ]


def mosaic(folder: Path, paths: list[Path], **asked: Any) -> tuple[NDArray[Any], WCS, Any]:
    (output,) = run(Mosaic, folder, input_files=refs(paths), **asked).files
    assert output.fits is not None
    with fits.open(output.fits) as hdus:
        return hdus["SCI"].data.copy(), WCS(hdus["SCI"].header), output


def test_all_that_any_image_covers_is_covered(tmp_path: Path) -> None:
    pixels, wcs, _ = mosaic(tmp_path, written(tmp_path, tiles()))
    assert pixels.shape[1] == pytest.approx(1.75 * 256, abs=3)
    assert np.isfinite(pixels).mean() > 0.98
    assert np.nanmedian(pixels) == pytest.approx(200, abs=2)
    truth = star_field(**SKY).truth
    x, y = wcs.all_world2pix(truth["ra"], truth["dec"], 0)
    brightest = int(np.argmax(np.where((x > 10) & (y > 10) & (y < 240), truth["flux"], 0)))
    part = pixels[round(y[brightest]) - 8 :, round(x[brightest]) - 8 :][:17, :17]
    assert np.sum(part - 200) == pytest.approx(truth["flux"][brightest], rel=0.05)


def test_an_average_agrees_with_reprojects_coadding(tmp_path: Path) -> None:
    paths = written(tmp_path, tiles(), bpm=False)
    pixels, wcs, _ = mosaic(tmp_path, paths, blending="average", background="keep")
    frames = [read_frame(path) for path in paths]
    oracle, _ = reproject_and_coadd(
        [(frame.pixels, WCS(frame.header)) for frame in frames],
        wcs,
        shape_out=pixels.shape,
        reproject_function=reproject_interp,
    )
    difference = (pixels - oracle)[2:-2, 2:-2]
    assert np.nanstd(difference) < 0.1  # of noise 16; both resample alike
    assert np.isnan(pixels[2:-2, 2:-2]).mean() == pytest.approx(np.isnan(oracle[2:-2, 2:-2]).mean(), abs=0.01)


@pytest.mark.parametrize("background", ["match", "keep"])
def test_levels_are_matched_where_images_overlap(tmp_path: Path, background: str) -> None:
    one, other = tiles()
    other.pixels[:] += 50
    third = star_field(**SKY, exposure=2, pointing=(150.0 - 0.75 * WIDE, 2.2))
    third.pixels[:] -= 30
    pixels, _, output = mosaic(tmp_path, written(tmp_path, [one, other, third]), background=background)
    columns = np.nanmedian(pixels[10:-10], axis=0)
    shifts = np.array(output.facts["background_shifts"])
    if background == "match":
        np.testing.assert_allclose(shifts - shifts[0], [0, -50, 30], atol=2.0)
        assert np.sum(shifts) == pytest.approx(0, abs=0.01)
        assert np.ptp(columns[10:-10]) < 12
    else:
        assert (shifts == 0).all()
        assert np.ptp(columns[10:-10]) > 60


def test_feathering_hides_the_seam(tmp_path: Path) -> None:
    one, other = tiles(noise=0.5, photon_noise=False)
    other.pixels[:] += 20
    paths = written(tmp_path, [one, other])
    steps = {}
    for blending in ("feather", "average"):
        pixels, _, _ = mosaic(tmp_path, paths, blending=blending, background="keep")
        levels = np.nanmedian(pixels[20:-20], axis=0)
        steps[blending] = float(np.nanmax(np.abs(np.diff(levels[3:-3]))))
    assert steps["feather"] < 4 < steps["average"]


def test_pixels_may_be_larger(tmp_path: Path) -> None:
    paths = written(tmp_path, tiles())
    fine, _, _ = mosaic(tmp_path, paths)
    coarse, wcs, _ = mosaic(tmp_path, paths, pixel_scale=1.17)
    assert np.subtract(coarse.shape, np.array(fine.shape) / 3) == pytest.approx(0, abs=1.5)
    assert abs(np.linalg.det(wcs.pixel_scale_matrix)) ** 0.5 * 3600 == pytest.approx(1.17)
    assert np.nanmedian(coarse) == pytest.approx(9 * 200, rel=0.01)  # light is conserved


def test_a_mosaic_of_the_whole_sky_is_refused(tmp_path: Path) -> None:
    fields = [star_field(size=64, stars=1), star_field(size=64, stars=1, centre=(155.0, 4.2))]
    paths = written(tmp_path, fields)
    with pytest.raises(OperationError, match="more than 40 million"):
        mosaic(tmp_path, paths)
    pixels, _, _ = mosaic(tmp_path, paths, pixel_scale=60.0)
    assert np.isnan(pixels).mean() > 0.9


def test_an_image_without_wcs_is_named(tmp_path: Path) -> None:
    paths = written(
        tmp_path, [star_field(size=64, stars=1), star_field(size=64, stars=1, wcs=False)], cat=False
    )
    with pytest.raises(OperationError, match=r"frame-0001.*no WCS"):
        mosaic(tmp_path, paths)
