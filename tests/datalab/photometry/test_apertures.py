"""Sums in apertures, against photutils and against what is true of a synthetic sky."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.centroids import centroid_2dg, centroid_sources

from datalab.photometry.apertures import Radii, Stars, measure
from datalab.photometry.noise import Noise
from tests.support.star_fields import Field, star_field

SIGMA_PX = 3.5 / 2.3548
NOISE = Noise(gain=1.0, read_noise=6.0, dark=0.0)
RADII = Radii(7.0, 10.0, 16.0)
SPARSE: dict[str, Any] = {"stars": 25, "separation_px": 30.0, "seed": 3}


def field(**changes: Any) -> Field:
    return star_field(**{**SPARSE, **changes})


def measured(exposed: Field, shift: float = 0.0, **how: Any) -> Stars:
    truth = exposed.truth
    x, y = np.asarray(truth["x"]) + shift, np.asarray(truth["y"]) - shift
    return measure(exposed.pixels, exposed.bad, x, y, RADII, NOISE, **how)


def inside(stars: Stars) -> NDArray[np.bool_]:
    return np.isfinite(stars.counts)


def test_sums_are_those_of_photutils_with_exact_overlap() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.normal(100, 10, (80, 90)).astype(np.float32)
    good = np.zeros(pixels.shape, bool)
    places = rng.uniform(20, 60, (40, 2))
    for radius in (0.3, 1.0, 2.7, 8.0, 19.6):
        x, y = places.T
        ours = measure(pixels, good, x, y, Radii(radius, radius + 1, radius + 9), Noise(1, 0, 0))
        sums = aperture_photometry(pixels, CircularAperture(places, radius), method="exact")["aperture_sum"]
        np.testing.assert_allclose(ours.pixels, np.pi * radius**2, rtol=1e-10)
        np.testing.assert_allclose(ours.counts + ours.background * ours.pixels, sums, rtol=1e-7, atol=1e-6)


def test_counts_are_true_within_their_errors() -> None:
    residuals = []
    for exposure in range(8):
        exposed = field(exposure=exposure)
        stars = measured(exposed)
        wanted = exposed.truth["flux"] * (1 - np.exp(-((RADII.aperture / SIGMA_PX) ** 2) / 2))
        residuals.append(((stars.counts - wanted) / stars.error)[inside(stars)])
    pulls = np.concatenate(residuals)
    assert len(pulls) > 150
    assert abs(pulls.mean()) < 0.3
    assert 0.8 < pulls.std() < 1.25
    assert np.abs(pulls).max() < 5


def test_stars_are_found_again_where_they_are() -> None:
    exposed = field(magnitudes=(12.5, 15.0))
    stars = measured(exposed, shift=1.4, window_sigma_px=SIGMA_PX, most_shift_px=4.0)
    ok = inside(stars) & stars.centred
    assert ok.sum() > 20
    np.testing.assert_allclose(stars.x[ok], exposed.truth["x"][ok], atol=0.05)
    np.testing.assert_allclose(stars.y[ok], exposed.truth["y"][ok], atol=0.05)
    theirs = centroid_sources(
        exposed.pixels - 200,
        exposed.truth["x"][ok],
        exposed.truth["y"][ok],
        box_size=11,
        centroid_func=centroid_2dg,
    )
    np.testing.assert_allclose(stars.x[ok], theirs[0], atol=0.05)


def test_a_centre_too_far_away_is_not_believed() -> None:
    stars = measured(field(), shift=2.5, window_sigma_px=SIGMA_PX, most_shift_px=1.0)
    asked = np.asarray(field().truth["x"]) + 2.5
    np.testing.assert_array_equal(stars.x[~stars.centred], asked[~stars.centred])
    assert (~stars.centred).sum() > 15


def test_hot_pixels_and_nan_in_an_aperture_are_filled_from_around() -> None:
    clean = field()
    spoilt = field(hot_pixels=160, nan_fraction=0.002)
    stars, wanted = measured(spoilt), measured(clean)
    both = inside(stars) & inside(wanted)
    assert stars.bad_pixels[both].sum() > 5
    faint = both & (np.asarray(clean.truth["mag"]) > 16)
    np.testing.assert_allclose(stars.counts[faint], wanted.counts[faint], atol=4 * wanted.error[faint].max())


def test_nothing_is_said_of_stars_at_the_edge_outside_or_in_bad_pixels() -> None:
    pixels = np.full((60, 60), 10.0, np.float32)
    bad = np.zeros(pixels.shape, bool)
    bad[20:40, 20:40] = True
    x = [3.0, -50.0, 30.0, np.nan, 12.0]
    y = [30.0, 30.0, 30.0, 30.0, 12.0]
    stars = measure(pixels, bad, x, y, Radii(5, 7, 12), NOISE)
    assert list(np.isfinite(stars.counts)) == [False, False, False, False, True]
    assert abs(stars.counts[4]) < 1e-6


def test_stars_in_the_ring_do_not_raise_the_background() -> None:
    exposed = star_field(stars=60, separation_px=18.0, seed=5, magnitudes=(13.0, 14.0))
    stars = measured(exposed)
    assert np.nanmedian(np.abs(stars.background - 200.0)) < 2.0


def test_noise_is_of_photons_sky_reading_and_dark_current() -> None:
    error = Noise(gain=1.7, read_noise=3.2, dark=4.0).of_sum(
        np.array([1234.5]), np.array([48.0]), np.array([12.3]), np.array([166.0])
    )
    np.testing.assert_allclose(error, 38.5222, rtol=1e-5)


def test_whole_numbers_are_measured_as_they_are() -> None:
    exposed = field()
    whole = np.clip(np.rint(exposed.pixels), 0, 65535).astype(np.uint16)
    truth = exposed.truth
    ours = measure(whole, exposed.bad, truth["x"], truth["y"], RADII, NOISE)
    np.testing.assert_allclose(ours.counts, measured(exposed).counts, atol=60.0)
