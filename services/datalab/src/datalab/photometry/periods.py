"""The period of a light curve, by Lomb and Scargle's periodogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from astropy.timeseries import LombScargle
from numpy.typing import ArrayLike

from datalab.photometry.exposures import Numbers

LEAST_POINTS: Final = 8
SAMPLES_PER_PEAK: Final = 10
MOST_FREQUENCIES: Final = 200_000
MOST_SHOWN: Final = 5_000
"""Frequencies of a periodogram for users; of neighbours, the highest."""
BEYOND_NYQUIST: Final = 5.0
"""How far above half the mean rate of irregular images periods can be told."""
REGULAR_WITHIN: Final = 0.05
MOSTLY: Final = 0.8
_LEAST_ERROR_MAG: Final = 1e-4


@dataclass(frozen=True)
class Period:
    """What a periodogram says."""

    period_d: float | None
    """None: nothing varies."""
    false_alarm: float | None
    """How probable so high a peak is in noise alone (Baluev)."""
    frequency: Numbers
    """Cycles a day."""
    power: Numbers

    def shown(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "period": self.period_d,
            "fap": self.false_alarm,
            "frequency": [float(value) for value in self.frequency],
            "power": [float(value) for value in self.power],
        }


def find_period(times_d: ArrayLike, magnitudes: ArrayLike, errors: ArrayLike) -> Period | None:
    """Return the period of magnitudes, or None when there are too few or all at once."""
    times, mags = np.asarray(times_d, float), np.asarray(magnitudes, float)
    errs = np.maximum(np.asarray(errors, float), _LEAST_ERROR_MAG)
    known = np.isfinite(times) & np.isfinite(mags) & np.isfinite(errs)
    times, mags, errs = times[known], mags[known], errs[known]
    span = float(np.ptp(times)) if len(times) else 0.0
    if len(times) < LEAST_POINTS or span <= 0:
        return None
    frequency = _frequencies(np.sort(times), span)
    if np.ptp(mags) == 0:
        return Period(None, None, *_shown(frequency, np.zeros_like(frequency)))
    curve = LombScargle(times - times.min(), mags, errs)
    power = curve.power(frequency, assume_regular_frequency=True)
    best = _refined(curve, frequency, int(np.argmax(power)))
    highest = float(curve.power(best))
    alarm = float(curve.false_alarm_probability(highest, maximum_frequency=frequency[-1]))
    return Period(1 / best, min(1.0, max(0.0, alarm)), *_shown(frequency, power))


def _frequencies(times: Numbers, span_d: float) -> Numbers:
    """Return from half a cycle in all on, up to what the times can tell apart."""
    steps = np.diff(times)
    cadence = float(np.median(steps[steps > 0]))
    step = 1 / span_d / SAMPLES_PER_PEAK
    first, last = 0.5 / span_d, 0.5 / cadence
    if not _is_regular(steps / cadence):
        last = max(last, BEYOND_NYQUIST * 0.5 * len(times) / span_d)
    many = max(2, min(MOST_FREQUENCIES, int((last - first) / step) + 1))
    grid: Numbers = first + step * np.arange(many, dtype=np.float64)
    return grid


def _is_regular(cycles: Numbers) -> bool:
    """Return whether nearly all steps are multiples of one: then higher frequencies look like lower ones."""
    off = np.abs(cycles - np.rint(cycles))
    return bool((off < REGULAR_WITHIN).mean() > MOSTLY)


def _refined(curve: LombScargle, frequency: Numbers, best: int) -> float:
    """Return the top of the highest peak, between the frequencies."""
    step = frequency[1] - frequency[0]
    near = np.linspace(max(frequency[best] - step, step / 10), frequency[best] + step, 201)
    return float(near[np.argmax(curve.power(near))])


def _shown(frequency: Numbers, power: Numbers) -> tuple[Numbers, Numbers]:
    power = np.nan_to_num(power)
    if len(frequency) <= MOST_SHOWN:
        return frequency, power
    width = -(-len(frequency) // MOST_SHOWN)
    starts = np.arange(0, len(frequency), width)
    best = np.array([start + np.argmax(power[start : start + width]) for start in starts])
    return frequency[best], power[best]
