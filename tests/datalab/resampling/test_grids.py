"""Grids on the sky, and which part of them frames cover."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, Sip
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reproject.mosaicking import find_optimal_celestial_wcs

from datalab.composing.grids import Grid, common_rows, covering, outlines, sky_mapping, with_wcs
from datalab.kernels.rectangles import Box, covered_columns, largest_box
from datalab.operations.operation import OperationError
from tests.support.star_fields import star_field


def grid(**options: object) -> Grid:
    field = star_field(stars=1, **options)  # type: ignore[arg-type]
    return Grid(WCS(field.header), field.pixels.shape)


FRAMES = [grid(), grid(rotation_deg=3, shift=(20, -13)), grid(size=(200, 180), rotation_deg=90)]


def test_the_covering_grid_is_what_reproject_finds_for_an_unturned_first_frame() -> None:
    ours = covering(FRAMES)
    theirs, shape = find_optimal_celestial_wcs([(frame.shape, frame.wcs) for frame in FRAMES])
    assert np.abs(np.subtract(ours.shape, shape)).max() <= 1
    assert ours.wcs.wcs.crval == pytest.approx(theirs.wcs.crval, abs=20 / 3600)
    np.testing.assert_allclose(ours.wcs.pixel_scale_matrix, theirs.pixel_scale_matrix, rtol=1e-6, atol=1e-12)


def test_every_pixel_of_every_frame_lies_on_the_covering_grid() -> None:
    ours = covering([FRAMES[1], FRAMES[0], FRAMES[2]])
    for x, y in outlines(ours.wcs, FRAMES):
        assert min(x.min(), y.min()) > -0.5 - 2e-3
        assert x.max() < ours.shape[1] - 0.5 + 2e-3
        assert y.max() < ours.shape[0] - 0.5 + 2e-3


def test_the_covering_grid_is_turned_as_the_first_frame_and_has_the_smallest_pixels() -> None:
    turned = covering([grid(rotation_deg=3, pixel_scale_arcsec=0.5), grid(pixel_scale_arcsec=0.39)])
    cd = turned.wcs.pixel_scale_matrix
    assert np.degrees(np.arctan2(cd[1, 0], -cd[0, 0])) == pytest.approx(3, abs=1e-6)
    assert abs(np.linalg.det(cd)) ** 0.5 * 3600 == pytest.approx(0.39)
    coarse = covering(FRAMES, scale_arcsec=0.78)
    assert coarse.shape[0] == pytest.approx(covering(FRAMES).shape[0] / 2, abs=1)


def test_a_single_frame_covers_itself_pixel_by_pixel() -> None:
    ours = covering([FRAMES[2]])
    assert ours.shape == FRAMES[2].shape
    x, y = sky_mapping(ours.wcs, FRAMES[2].wcs)(np.array([0.0, 100.0]), np.array([0.0, 50.0]))
    np.testing.assert_allclose([x, y], [[0, 100], [0, 50]], atol=1e-3)


def test_frames_of_other_coordinates_are_laid_on_the_same_sky() -> None:
    equatorial = FRAMES[0]
    galactic = WCS(naxis=2)
    place = SkyCoord(150.0, 2.2, unit="deg").galactic
    galactic.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    galactic.wcs.crval = [place.l.deg, place.b.deg]
    galactic.wcs.crpix = [10.0, 20.0]
    galactic.wcs.cdelt = [-1e-4, 1e-4]
    x, y = sky_mapping(equatorial.wcs, galactic)(np.array([127.5]), np.array([127.5]))
    np.testing.assert_allclose([x[0], y[0]], [9.0, 19.0], atol=1e-3)


def test_frames_on_opposite_sides_of_the_sky_have_no_grid() -> None:
    with pytest.raises(OperationError, match="too far from each other"):
        covering([FRAMES[0], grid(centre=(330.0, -2.2))])


def test_a_headers_wcs_is_replaced_and_all_else_kept() -> None:
    header = star_field(stars=1).header
    header["A_ORDER"], header["A_2_0"], header["PV2_1"], header["CROTA2"] = 2, 1e-7, 0.1, 5.0
    changed = covering(FRAMES).header(header)
    assert not {"A_ORDER", "A_2_0", "PV2_1", "CROTA2", "CDELT1", "PC1_1"} & set(changed)
    assert changed["FILTER"] == header["FILTER"]
    np.testing.assert_allclose(WCS(changed).pixel_scale_matrix, covering(FRAMES).wcs.pixel_scale_matrix)
    assert "CRVAL1" not in with_wcs(header, None)


def test_a_distorted_wcs_is_written_whole() -> None:
    frame = star_field(stars=1)
    bent = WCS(frame.header)
    bent.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], b[0, 2] = 1e-5, -2e-5
    bent.sip = Sip(a, b, None, None, bent.wcs.crpix)
    read = WCS(Grid(bent, (256, 256)).cropped(Box(10, 20, 200, 220)).header(frame.header))
    corners = np.array([0.0, 180.0]), np.array([5.0, 190.0])
    expected = bent.all_pix2world(corners[0] + 10, corners[1] + 20, 0)
    np.testing.assert_allclose(read.all_pix2world(*corners, 0), expected, rtol=0, atol=1e-9)


def test_the_common_box_lies_within_all_frames() -> None:
    ours = covering(FRAMES)
    box = largest_box(*common_rows(ours.shape, outlines(ours.wcs, FRAMES)))
    assert box is not None
    part = ours.cropped(box)
    assert part.shape[0] * part.shape[1] > 0.6 * 200 * 180
    rows, columns = np.indices(part.shape, dtype=np.float64)
    for frame in FRAMES:
        x, y = sky_mapping(part.wcs, frame.wcs)(columns.ravel(), rows.ravel())
        assert min(x.min(), y.min()) > -0.5 - 5e-3
        assert x.max() < frame.shape[1] - 0.5 + 5e-3
        assert y.max() < frame.shape[0] - 0.5 + 5e-3


def test_frames_side_by_side_have_no_common_box() -> None:
    frames = [FRAMES[0], grid(pointing=(150.2, 2.2))]
    ours = covering(frames)
    assert largest_box(*common_rows(ours.shape, outlines(ours.wcs, frames))) is None


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=10))
@settings(max_examples=100, deadline=None)
def test_the_largest_box_is_the_largest_of_all(rows: list[tuple[int, int]]) -> None:
    first, after = np.array(rows).T
    box = largest_box(first, after)
    assert (box.shape[0] * box.shape[1] if box else 0) == _largest(first, after)
    if box:
        assert (first[box.bottom : box.top] <= box.left).all()
        assert (after[box.bottom : box.top] >= box.right).all()


def _largest(first: NDArray[np.int64], after: NDArray[np.int64]) -> int:
    sizes = [
        (top - bottom) * int(after[bottom:top].min() - first[bottom:top].max())
        for bottom in range(len(first))
        for top in range(bottom + 1, len(first) + 1)
    ]
    return max(0, *sizes) if sizes else 0


@given(
    angle=st.floats(0, 6.28),
    middle=st.tuples(st.floats(-5, 45), st.floats(-5, 45)),
    half=st.tuples(st.floats(1, 20), st.floats(1, 20)),
)
@settings(max_examples=40, deadline=None)
def test_columns_within_a_turned_frame_are_those_whose_middle_is(
    angle: float, middle: tuple[float, float], half: tuple[float, float]
) -> None:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x, y = (corners @ turn.T + middle).T
    first, after = covered_columns(x, y, (40, 40))
    rows, columns = np.indices((40, 40))
    local = np.stack([columns - middle[0], rows - middle[1]], axis=-1) @ turn
    depth = (np.abs(local) - half).max(-1)
    found = (columns >= first[:, None]) & (columns < after[:, None])
    assert found[depth < -0.01].all()
    assert not found[depth > 0.01].any()
