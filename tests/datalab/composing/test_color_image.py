"""Color Image: channels, levels, alignment and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from datalab.operations.color_image import ColorImage, ColorImageInputs
from datalab.operations.operation import OperationError, OutputFile
from datalab.pictures.stretching import GAMMA
from tests.datalab.photometry.working import run, written
from tests.support.star_fields import Field, star_field

RED, GREEN, BLUE = ({"r": 255, "g": 0, "b": 0}, {"r": 0, "g": 255, "b": 0}, {"r": 0, "g": 0, "b": 255})


def channels(paths: list[Path], colors: list[dict[str, int]], **how: Any) -> list[dict[str, Any]]:
    return [
        {"basename": path.name, "source": "archive", "color": color, **how}
        for path, color in zip(paths, colors, strict=True)
    ]


def composed(
    folder: Path, fields: list[Field], colors: list[dict[str, int]], **how: Any
) -> tuple[OutputFile, NDArray[Any]]:
    """Return the output, and the TIFF's pixels as red, green, blue, the first row at the bottom."""
    alignment = how.pop("alignment", "auto")
    asked = channels(written(folder, fields, bpm=False), colors, **how)
    (output,) = run(ColorImage, folder, color_channels=asked, alignment=alignment).files
    picture = cv2.imread(str(output.tif), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return output, np.asarray(picture[::-1, :, ::-1])


def test_one_channel_is_clipped_linearly_raised_and_coloured(tmp_path: Path) -> None:
    field = star_field(size=96, stars=10)
    orange = {"r": 255, "g": 128, "b": 0}
    output, picture = composed(tmp_path, [field], [orange], zmin=150, zmax=900)
    part = np.clip((field.pixels - 150) / 750, 0, 1) ** (1 / GAMMA)
    assert picture.dtype == np.uint16
    for channel, share in enumerate((1, 128 / 255, 0)):
        # at the dark end the gamma is so steep that the table's steps show
        np.testing.assert_allclose(picture[..., channel], part * share * 65535, atol=120)
    assert output.fits is None
    assert output.large_jpg is not None
    large = cv2.imread(str(output.large_jpg))
    assert large is not None
    assert large.shape == (96, 96, 3)
    assert large[..., 0].mean() < large[..., 1].mean() < large[..., 2].mean()


def test_light_of_channels_is_added_and_does_not_overflow(tmp_path: Path) -> None:
    field = star_field(size=64, stars=5)
    _, one = composed(tmp_path, [field], [RED], zmin=100, zmax=400)
    _, six = composed(tmp_path, [field] * 6, [RED] * 6, zmin=100, zmax=400)
    expected = np.minimum(6 * one[..., 0].astype(np.int64), 65535)
    np.testing.assert_allclose(six[..., 0], expected, atol=6)
    assert (six[..., 1:] == 0).all()


@pytest.mark.parametrize("wcs", [True, False], ids=["by WCS", "by stars"])
def test_channels_are_laid_on_the_first(tmp_path: Path, wcs: bool) -> None:
    fields = [
        star_field(band="rp", seeing_px=5),
        star_field(band="gp", exposure=1, shift=(6.5, -4.25), seeing_px=5, wcs=wcs),
        star_field(band="ip", exposure=2, rotation_deg=5, seeing_px=5, wcs=wcs),
    ]
    levels = {"zmin": 260, "zmax": 3000}
    _, picture = composed(tmp_path, fields, [RED, GREEN, BLUE], **levels)
    inner = picture[40:-40, 40:-40].astype(float).reshape(-1, 3).T
    together = np.corrcoef(inner)
    assert together[0, 1] > 0.8
    assert together[0, 2] > 0.8
    _, apart = composed(tmp_path, fields, [RED, GREEN, BLUE], alignment="none", **levels)
    assert np.corrcoef(apart[40:-40, 40:-40].astype(float).reshape(-1, 3).T)[0, 1] < 0.4


def test_levels_are_the_images_own_where_none_are_given(tmp_path: Path) -> None:
    field = star_field(size=128, nan_fraction=0.01)
    output, picture = composed(tmp_path, [field], [RED], zmax=500)
    (used,) = output.facts["channels"]
    assert used["zmin"] == pytest.approx(np.nanmedian(field.pixels), abs=1.0)
    assert used["zmax"] == 500
    assert (picture[np.isnan(field.pixels)] == 0).all()


def test_stars_that_do_not_match_are_said_unless_no_alignment_is_wanted(tmp_path: Path) -> None:
    fields = [star_field(wcs=False), star_field(seed=3, wcs=False)]
    with pytest.raises(OperationError, match="do not match"):
        composed(tmp_path, fields, [RED, GREEN])
    _, picture = composed(tmp_path, fields, [RED, GREEN], alignment="none")
    assert picture.any()


def test_a_level_beyond_the_images_own_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="give both"):
        composed(tmp_path, [star_field(size=64)], [RED], zmin=1e9)


FILE = {"basename": "a", "source": "archive"}


@pytest.mark.parametrize(
    "asked",
    [
        [],
        [{**FILE, "color": RED}] * 7,
        [FILE],
        [{**FILE, "color": {"r": 256, "g": 0, "b": 0}}],
        [{**FILE, "color": {"r": -1, "g": 0, "b": 0}}],
        [{**FILE, "color": {"r": 0, "g": 0}}],
        [{**FILE, "color": {"r": float("nan"), "g": 0, "b": 0}}],
        [{**FILE, "color": RED, "zmin": 5, "zmax": 5}],
        [{**FILE, "color": RED, "zmin": float("inf")}],
        [{**FILE, "color": RED, "zmax": "bright"}],
    ],
    ids=["none", "7", "no colour", "256", "-1", "no blue", "NaN", "no range", "infinite", "a word"],
)
def test_channels_out_of_range_are_refused(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        ColorImageInputs.model_validate({"color_channels": asked})


def test_channels_are_files_with_all_that_clients_send() -> None:
    asked = {**FILE, "color": {**RED, "a": 1}, "zmin": 1, "zmax": 2.5, "filter": "rp", "id": 7}
    (channel,) = ColorImageInputs.model_validate({"color_channels": [asked]}).color_channels
    assert (channel.basename, channel.id, channel.color.r, channel.zmax) == ("a", 7, 255, 2.5)
