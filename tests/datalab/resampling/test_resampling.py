"""Resampling, against reproject and against what is known of the sky."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.wcs import WCS, Sip
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reproject import reproject_adaptive, reproject_interp

from datalab.composing.grids import sky_mapping
from datalab.kernels import resampling
from datalab.kernels.resampling import Kernel, PixelMap, pixel_map
from tests.support.star_fields import Field, star_field

NOISE = 6.0


def resampled(
    pixels: NDArray[Any],
    where: PixelMap,
    *,
    mask: NDArray[np.bool_] | None = None,
    kernel: Kernel = "linear",
    strip: int = 100,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return values and how much of them is known, made in strips."""
    values = np.empty(where.shape, np.float32)
    covered = np.ones(where.shape, np.float32)
    for start in range(0, where.shape[0], strip):
        rows = slice(start, min(start + strip, where.shape[0]))
        need = resampling.needed(where, rows, pixels.shape[0], kernel)
        part = None if mask is None else mask[need]
        window = resampling.window(pixels[need], part, need.start, pixels.shape[0])
        found = resampling.resample(window, where, rows, kernel)
        values[rows] = found.values()
        if found.covered is not None:
            covered[rows] = found.covered
    return values, covered


def moved(dx: float, dy: float) -> resampling.Mapping:
    return lambda x, y: (x + dx, y + dy)


def on_sky(of: Field, onto: Field) -> PixelMap:
    return pixel_map(sky_mapping(WCS(onto.header), WCS(of.header)), onto.pixels.shape)


@pytest.fixture(scope="module")
def dithered() -> tuple[Field, Field]:
    """Two exposures of one sky: another pointing, another turn."""
    pointing = (150.003, 2.203)
    return star_field(pointing=pointing, rotation_deg=5), star_field(exposure=1)


def test_equals_reproject_interp_to_a_thousandth_of_the_noise(dithered: tuple[Field, Field]) -> None:
    frame, reference = dithered
    where = on_sky(frame, reference)
    ours, _ = resampled(frame.pixels, where)
    theirs, _ = reproject_interp(
        (frame.pixels, WCS(frame.header)), WCS(reference.header), shape_out=reference.pixels.shape
    )
    difference = ours - theirs
    both = np.isfinite(difference)
    assert both.mean() > 0.75
    assert np.std(difference[both]) < 1e-3 * NOISE
    assert np.count_nonzero(np.isfinite(ours) != np.isfinite(theirs)) <= 4  # at the very edge


def test_agrees_with_reproject_adaptive_on_the_light_of_stars(dithered: tuple[Field, Field]) -> None:
    frame, reference = dithered
    ours, _ = resampled(frame.pixels, on_sky(frame, reference))
    theirs, _ = reproject_adaptive(
        (frame.pixels, WCS(frame.header)),
        WCS(reference.header),
        shape_out=reference.pixels.shape,
        conserve_flux=True,
    )
    difference = ours - theirs
    inner = difference[40:-40, 40:-40]
    assert abs(np.mean(inner)) < 0.15  # of a background of 200; noise
    truth = reference.truth
    middle = truth[np.hypot(truth["x"] - 127.5, truth["y"] - 127.5) < 100]
    for star in middle[np.argsort(middle["mag"])[:10]]:
        light = [_sum(image, star["x"], star["y"]) for image in (ours, theirs)]
        assert light[0] == pytest.approx(light[1], rel=2e-3, abs=600)  # the edges' noise


def _sum(image: NDArray[Any], x: float, y: float, reach: int = 8) -> float:
    part = image[round(y) - reach : round(y) + reach + 1, round(x) - reach : round(x) + reach + 1]
    return float(np.sum(part - 200.0))


@pytest.mark.parametrize("kernel", ["linear", "lanczos"])
def test_stars_come_where_the_reference_has_them(kernel: Kernel) -> None:
    frame = star_field(pointing=(150.003, 2.203), rotation_deg=5, noise=0, photon_noise=False, seeing_px=5)
    reference = star_field(noise=0, photon_noise=False, seeing_px=5)
    ours, _ = resampled(frame.pixels, on_sky(frame, reference), kernel=kernel)
    known = np.isfinite(ours)
    known[:40] = known[-40:] = known[:, :40] = known[:, -40:] = False
    difference = np.abs(ours - reference.pixels)[known] / (reference.pixels.max() - 200)
    assert difference.max() < {"linear": 0.06, "lanczos": 0.01}[kernel]


@pytest.mark.parametrize("scale", [0.25, 0.5, 2.0, 3.0])
def test_light_is_conserved_when_pixels_become_larger_or_smaller(scale: float) -> None:
    frame = star_field(background=0, noise=0.0, photon_noise=False, size=192)
    side = round(192 / scale)
    offset = scale / 2 - 0.5
    where = pixel_map(lambda x, y: (x * scale + offset, y * scale + offset), (side, side))
    window = resampling.window(frame.pixels, None, 0, 192)
    factor = where.steps
    if factor > 1:
        window, where = resampling.binned(window, factor), where.binned(factor)
    values = resampling.resample(window, where, slice(0, side)).values() * factor**2
    assert float(values.sum()) == pytest.approx(float(frame.pixels.sum()), rel=5e-3)


def test_a_map_of_a_distorted_frame_is_true_between_its_nodes() -> None:
    frame = star_field(size=512, stars=3)
    bent = WCS(frame.header)
    bent.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[3, 0], b[1, 2], a[0, 2] = 2e-7, -1e-7, 3e-5
    bent.sip = Sip(a, b, None, None, bent.wcs.crpix)
    mapping = sky_mapping(WCS(frame.header), bent)
    where = pixel_map(mapping, (512, 512))
    assert where.affine is None
    x, y = resampling.positions(where, slice(0, 512), 0)
    rows, columns = np.indices((512, 512), dtype=np.float64)
    true_x, true_y = mapping(columns.ravel(), rows.ravel())
    assert np.abs(x.ravel() - true_x).max() < 2 * resampling.MAP_ERROR_PX
    assert np.abs(y.ravel() - true_y).max() < 2 * resampling.MAP_ERROR_PX


def test_frames_on_one_tangent_plane_differ_by_a_matrix() -> None:
    where = on_sky(star_field(rotation_deg=30, shift=(3.25, -8.5)), star_field())
    assert where.affine is not None
    bent = on_sky(star_field(pointing=(150.3, 2.5)), star_field())
    assert bent.affine is None


def test_a_matrix_gives_what_the_nodes_give() -> None:
    frame = star_field(rotation_deg=30, shift=(3.25, -8.5))
    where = on_sky(frame, star_field())
    by_matrix, _ = resampled(frame.pixels, where)
    by_nodes = PixelMap(where.x, where.y, where.spacing_px, where.shape)
    object.__setattr__(by_nodes, "affine", None)
    found, _ = resampled(frame.pixels, by_nodes)
    difference = by_matrix - found
    assert np.array_equal(np.isnan(by_matrix), np.isnan(found))
    assert np.nanstd(difference) < 1e-3 * NOISE


def test_whole_pixels_are_moved_bit_by_bit() -> None:
    frame = star_field(size=128)
    values, _ = resampled(frame.pixels, pixel_map(moved(5, -3), (128, 128)), strip=37)
    assert np.array_equal(values[3:, :-5], frame.pixels[:-3, 5:])
    assert np.isnan(values[:3]).all()
    assert np.isnan(values[:, -5:]).all()


@given(
    dx=st.floats(-6, 6, allow_subnormal=False),
    dy=st.floats(-6, 6, allow_subnormal=False),
    bad=st.tuples(st.integers(0, 39), st.integers(0, 39)),
    masked=st.booleans(),
    kernel=st.sampled_from(["linear", "lanczos"]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_unknown_does_not_reach_beyond_the_kernel(
    dx: float, dy: float, bad: tuple[int, int], masked: bool, kernel: Kernel
) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.normal(100, 5, (40, 40)).astype(np.float32)
    where = pixel_map(moved(dx, dy), (40, 40))
    clean, whole = resampled(pixels, where, kernel=kernel, strip=16)
    mask = np.zeros((40, 40), np.bool_)
    mask[bad] = True
    spoilt = pixels.copy()
    spoilt[bad] = 1e30 if masked else np.nan
    values, covered = resampled(spoilt, where, mask=mask if masked else None, kernel=kernel, strip=16)
    rows, columns = np.indices((40, 40))
    reach = {"linear": 1, "lanczos": 4}[kernel] + 1e-2
    near = (np.abs(columns + dx - bad[1]) < reach) & (np.abs(rows + dy - bad[0]) < reach)
    np.testing.assert_allclose(values[~near], clean[~near], rtol=1e-4)
    np.testing.assert_allclose(covered[~near], whole[~near], atol=1e-3)
    if kernel == "linear":
        known = np.isfinite(values)
        assert (values[known] < pixels.max() + 1).all()
        assert (values[known] > pixels.min() - 1).all()


@given(dx=st.floats(-0.99, 0.99, allow_subnormal=False), dy=st.floats(-0.99, 0.99, allow_subnormal=False))
@settings(max_examples=30, deadline=None)
def test_how_much_is_covered_is_the_known_part_of_the_neighbours(dx: float, dy: float) -> None:
    pixels = np.full((9, 9), 7.0, np.float32)
    pixels[4, 4] = np.nan
    _, covered = resampled(pixels, pixel_map(moved(dx, dy), (9, 9)))
    rows, columns = np.indices((9, 9))
    missing = np.clip(1 - np.abs(columns + dx - 4), 0, 1) * np.clip(1 - np.abs(rows + dy - 4), 0, 1)
    inside = (np.abs(columns + dx - 4) < 4.49) & (np.abs(rows + dy - 4) < 4.49)
    np.testing.assert_allclose(covered[inside], 1 - missing[inside], atol=1e-4)


def test_nothing_comes_from_the_other_side_of_the_sky() -> None:
    frame, away = star_field(size=64), star_field(size=64, centre=(330.0, -2.2))
    values, covered = resampled(frame.pixels, on_sky(frame, away))
    assert np.isnan(values).all()
    assert (covered == 0).all()


def test_strips_do_not_show() -> None:
    frame = star_field(pointing=(150.002, 2.2), rotation_deg=80, nan_fraction=0.01)
    where = on_sky(frame, star_field())
    whole, _ = resampled(frame.pixels, where, strip=256)
    parts, _ = resampled(frame.pixels, where, strip=45)
    np.testing.assert_allclose(parts, whole, atol=0.05)
    assert np.nanstd(parts - whole) < 1e-3 * NOISE
