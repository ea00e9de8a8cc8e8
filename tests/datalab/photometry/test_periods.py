"""Periods, against known ones and against astropy's own periodogram."""

import numpy as np
import pytest
from astropy.timeseries import LombScargle
from numpy.typing import NDArray

from datalab.photometry.periods import MOST_SHOWN, find_period

Times = NDArray[np.float64]


def magnitudes(times: Times, period_d: float, amplitude: float = 0.2) -> Times:
    noise = np.random.default_rng(4).normal(0, 0.01, len(times))
    found: Times = 14 + amplitude * np.sin(2 * np.pi * times / period_d) + noise
    return found


@pytest.mark.parametrize("period_d", [0.031, 0.042, 0.09])
def test_one_regular_night(period_d: float) -> None:
    times = np.arange(24) * 10 / 1440
    found = find_period(times, magnitudes(times, period_d), np.full(24, 0.01))
    assert found
    assert found.period_d == pytest.approx(period_d, rel=0.03)
    assert found.false_alarm is not None
    assert found.false_alarm < 1e-4


def test_nights_at_irregular_times() -> None:
    times = np.arange(60) + np.random.default_rng(1).uniform(0, 0.35, 60)
    found = find_period(times, magnitudes(times, 0.5427), np.full(60, 0.01))
    assert found
    assert found.period_d == pytest.approx(0.5427, rel=0.001)


def test_power_is_that_of_astropy() -> None:
    times = np.sort(np.random.default_rng(2).uniform(0, 3, 40))
    mags, errors = magnitudes(times, 0.31), np.full(40, 0.01)
    found = find_period(times, mags, errors)
    assert found
    theirs = LombScargle(times, mags, errors).power(found.frequency, method="slow")
    np.testing.assert_allclose(found.power, theirs, atol=0.02)
    assert np.argmax(found.power) == np.argmax(theirs)


def test_noise_alone_is_told_as_such() -> None:
    times = np.sort(np.random.default_rng(3).uniform(0, 2, 40))
    found = find_period(times, magnitudes(times, 1.0, amplitude=0.0), np.full(40, 0.01))
    assert found
    assert found.false_alarm is not None
    assert found.false_alarm > 0.01


def test_a_long_quick_series_is_shown_in_bounds() -> None:
    times = np.concatenate([np.arange(150) / 1440, 40 + np.arange(150) / 1440])
    found = find_period(times, magnitudes(times, 0.02), np.full(300, 0.01))
    assert found
    assert len(found.frequency) <= MOST_SHOWN
    assert found.period_d == pytest.approx(0.02, rel=0.01)


def test_what_does_not_vary_has_no_period() -> None:
    found = find_period(np.arange(10.0), np.full(10, 14.0), np.full(10, 0.01))
    assert found
    assert found.period_d is None
    assert found.false_alarm is None


@pytest.mark.parametrize(
    "times", [np.arange(7.0), np.zeros(10), np.array([*range(7), np.nan, np.nan, np.nan])]
)
def test_too_few_points_or_all_at_once(times: Times) -> None:
    assert find_period(times, np.linspace(14, 15, len(times)), np.full(len(times), 0.01)) is None
