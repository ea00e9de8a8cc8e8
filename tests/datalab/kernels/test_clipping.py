"""Sigma clipping leaves what astropy's leaves, and combines it as numpy does."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from datalab.kernels.clipping import Clipping, clipped
from datalab.kernels.sums import add

Centre = Literal["mean", "median"]


def noisy(count: int, seed: int = 0, *, outliers: float = 0.05, missing: float = 0.02) -> list[NDArray[Any]]:
    random = np.random.default_rng(seed)
    stack = [random.normal(1000, 12, (31, 47)).astype(np.float32) for _ in range(count)]
    for image in stack:
        image[random.random(image.shape) < outliers] += random.choice([-300, 5000])
        image[random.random(image.shape) < missing] = np.nan
    return stack


def by_astropy(stack: list[NDArray[Any]], clipping: Clipping) -> NDArray[np.float64]:
    """Return the stack with NaN where values are clipped.

    Its compiled way, taken for functions that are named, lets values come back that an earlier round clipped.
    """
    return np.asarray(
        sigma_clip(
            np.stack(stack).astype(np.float64),
            sigma_lower=clipping.low,
            sigma_upper=clipping.high,
            maxiters=clipping.rounds,
            cenfunc={"median": np.nanmedian, "mean": np.nanmean}[clipping.centre],
            stdfunc=np.nanstd,
            axis=0,
            masked=False,
        )
    )


@pytest.mark.filterwarnings("ignore:Input data contains invalid values")
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:All-NaN slice encountered")
@pytest.mark.filterwarnings("ignore:Degrees of freedom")
@given(
    st.integers(2, 30),
    st.integers(0, 1000),
    st.sampled_from(["mean", "median"]),
    st.floats(1.2, 4),
    st.floats(1.2, 4),
    st.integers(1, 6),
)
@settings(max_examples=25, deadline=None)
def test_it_leaves_what_astropy_leaves(
    count: int, seed: int, centre: Centre, low: float, high: float, rounds: int
) -> None:
    stack, clipping = noisy(count, seed), Clipping(low, high, rounds, centre)
    left = by_astropy(stack, clipping)

    mean, lost = clipped(stack, clipping)
    middle, _ = clipped(stack, clipping, combine="median")

    assert lost == np.isfinite(np.stack(stack)).sum() - np.isfinite(left).sum()
    assert np.allclose(mean, np.nanmean(left, axis=0), rtol=1.2e-7, atol=0, equal_nan=True)
    assert np.array_equal(middle, np.nanmedian(left, axis=0).astype(np.float32), equal_nan=True)


@pytest.mark.filterwarnings("ignore:Input data contains invalid values")
def test_weights_count_after_clipping() -> None:
    stack, clipping = noisy(8), Clipping(2, 2)
    left = by_astropy(stack, clipping)
    weights = np.arange(1.0, 9.0)
    theirs = np.where(np.isfinite(left), weights[:, None, None], 0)

    found, _ = clipped(stack, clipping, weights=list(weights))

    wanted = np.nansum(left * theirs, axis=0) / theirs.sum(axis=0)
    assert np.allclose(found, wanted, rtol=1.2e-7, atol=0)


def test_with_equal_weights_the_weighted_median_is_the_median() -> None:
    stack = noisy(8)

    weighted, _ = clipped(stack, Clipping(), combine="median", weights=[2.0] * 8)

    assert np.array_equal(weighted, clipped(stack, Clipping(), combine="median")[0], equal_nan=True)


def test_a_heavy_image_draws_the_weighted_median_to_it() -> None:
    stack = noisy(5, outliers=0, missing=0)

    found, _ = clipped(stack, Clipping(rounds=0), combine="median", weights=[1, 1, 1, 1, 10])

    assert np.array_equal(found, stack[4])


def test_bad_pixels_are_left_out() -> None:
    stack = noisy(6, missing=0)
    masks = [np.random.default_rng(index).random(image.shape) < 0.2 for index, image in enumerate(stack)]
    holed = [np.where(mask, np.nan, image) for image, mask in zip(stack, masks, strict=True)]

    assert np.array_equal(clipped(stack, Clipping(), masks=masks)[0], clipped(holed, Clipping())[0])


def test_whole_numbers_are_combined_too() -> None:
    stack = [image.astype(np.uint16) for image in noisy(9, missing=0)]
    left = by_astropy(stack, Clipping(2, 2))

    assert np.allclose(clipped(stack, Clipping(2, 2))[0], np.nanmean(left, axis=0), rtol=1.2e-7, atol=0)


def test_winsorising_finds_the_outlier_that_hides_itself_among_few() -> None:
    """Of six values one cannot be three standard deviations away from the mean, however far it is."""
    random = np.random.default_rng(5)
    stack = [random.normal(100, 1, (20, 20)).astype(np.float32) for _ in range(6)]
    stack[2] += 1000

    plain, _ = clipped(stack, Clipping(3, 3, 5, "mean"))
    winsorised, lost = clipped(stack, Clipping(3, 3, 5, "mean", winsorised=True))

    assert plain.mean() > 200
    assert abs(winsorised.mean() - 100) < 0.2
    assert lost >= 400


def test_nothing_valid_is_nan_and_nothing_is_clipped() -> None:
    stack = [np.full((4, 4), np.nan, np.float32)] * 3

    found, lost = clipped(stack, Clipping(), weights=[1, 2, 3])

    assert np.isnan(found).all()
    assert lost == 0


@pytest.mark.parametrize("kind", ["u2", "f4", "f8"])
def test_sums_leave_out_what_is_nan_or_bad(kind: str) -> None:
    stack = noisy(5, missing=0.1 if kind != "u2" else 0)
    mask = stack[0] > 1000
    sums, counts = np.zeros((31, 47)), np.zeros((31, 47), np.uint16)
    for image in stack:
        add(sums, image.astype(kind), mask=mask, counts=counts)

    holed = np.where(mask, np.nan, np.stack(stack).astype(kind).astype(np.float64))
    assert np.allclose(sums, np.nansum(holed, axis=0), rtol=1e-12)
    assert np.array_equal(counts, np.isfinite(holed).sum(axis=0))


def test_sums_may_be_weighted() -> None:
    sums = np.zeros((31, 47))
    (image,) = noisy(1, missing=0)

    add(sums, image, weight=0.25)

    assert np.allclose(sums, image / 4)
