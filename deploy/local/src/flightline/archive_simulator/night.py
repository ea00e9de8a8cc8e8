"""A made-up night of one small telescope, in which there is something for every operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.time import Time
from numpy.typing import NDArray

from flightline.archive_simulator.banzai import write_banzai
from flightline.archive_simulator.sky import Moving, Variable, sky
from flightline.archive_simulator.star_fields import CENTRE_DEG, TAKEN_AT, Field, star_field

PROPOSAL = "FLIGHTLINE-DEMO"
"""Whose members see the one frame that is not public."""
SERIES = 12
"""Frames in rp, one every ``APART``."""
APART = timedelta(minutes=12)
EXPOSURE_S = 60.0
SCALE_ARCSEC = 0.78
STARS_PER_PX = 300 / 1024**2
AMPLITUDE_MAG, PERIOD_D = 0.3, 0.09
SPEED_ARCSEC_PER_H = 40.0
BIAS, DARK_PER_S, FLAT, NOISE = 1000.0, 0.5, 20_000.0, 8.0
OF_EACH = 3
"""Bias, dark and flat frames."""


@dataclass(frozen=True)
class Night:
    """What is true of the night, but for the noise."""

    size_px: int = 1024
    seed: int = 0

    @cached_property
    def stars(self) -> Table:
        """Return the stars of the sky; the telescope sees the middle of it, and a corner."""
        return sky(
            self.seed, self._count, self._sky_px, CENTRE_DEG, SCALE_ARCSEC, (12.5, 17.5), self._separation_px
        )

    @cached_property
    def variable(self) -> Variable:
        """Return the star that varies: the nearest to the middle that is neither bright nor faint."""
        stars = self.stars
        apart = np.hypot(stars["ra"] - CENTRE_DEG[0], stars["dec"] - CENTRE_DEG[1])
        fit = (stars["mag"] > 13.5) & (stars["mag"] < 15.0)  # noqa: PLR2004
        return Variable(int(np.argmin(np.where(fit, apart, np.inf))), AMPLITUDE_MAG, PERIOD_D)

    @property
    def moving(self) -> Moving:
        """Return what moves: along the upper part of the frame, from right to left."""
        ra, dec = CENTRE_DEG
        middle = Time(TAKEN_AT + SERIES * APART / 2)
        up = 0.2 * self.size_px * SCALE_ARCSEC / 3600
        return Moving(ra, dec + up, float(middle.mjd), SPEED_ARCSEC_PER_H, 0.0, 14.5)

    def facts(self) -> dict[str, Any]:
        """Return what somebody who tries operations has to name."""
        star = self.stars[self.variable.index]
        mjds = [float(Time(TAKEN_AT + number * APART).mjd) + EXPOSURE_S / 172_800 for number in (0, 11)]
        places = [(*self.moving.at(mjd), mjd) for mjd in mjds]
        return {
            "variable": {"ra": round(float(star["ra"]), 6), "dec": round(float(star["dec"]), 6)},
            "period_d": PERIOD_D,
            "asteroid": [
                {"ra": round(float(ra), 6), "dec": round(float(dec), 6), "mjd": round(mjd, 6)}
                for ra, dec, mjd in places
            ],
            "cluster": {"ra": CENTRE_DEG[0], "dec": CENTRE_DEG[1]},
        }

    @property
    def _sky_px(self) -> int:
        return self.size_px * 3 // 2

    @property
    def _count(self) -> int:
        return max(60, round(STARS_PER_PX * self._sky_px**2))

    @property
    def _separation_px(self) -> float:
        return 12.0

    def exposure(self, number: int, **more: Any) -> Field:
        """Return an exposure; frames are some pixels beside each other, as telescopes are."""
        rng = np.random.default_rng([self.seed, number, 3])
        given: dict[str, Any] = {
            "date_obs": TAKEN_AT + (number - 1) * APART,
            "shift": tuple(rng.uniform(-4, 4, 2)),
            "rotation_deg": float(rng.uniform(-0.1, 0.1)),
            "variable": self.variable,
            "moving": self.moving,
            "hot_pixels": self.size_px // 20,
            **more,
        }
        return star_field(
            size=self.size_px,
            stars=self._count,
            sky_px=self._sky_px,
            seed=self.seed,
            exposure=number,
            pixel_scale_arcsec=SCALE_ARCSEC,
            exposure_s=EXPOSURE_S,
            magnitudes=(12.5, 17.5),
            separation_px=self._separation_px,
            **given,
        )


def write_night(folder: Path, night: Night, tell: Callable[[int, int], None] | None = None) -> list[Path]:
    """Write all frames of a night; ``tell`` hears how many there are."""
    planned = list(_planned(night))
    written = []
    for done, (number, kind, make) in enumerate(planned):
        name = f"tst1m001-fa00-20240301-{number:04d}-{kind}"
        field, is_raw = make(), kind != "e91"
        field.header["OBJECT"] = field.header["OBJECT"] if kind.startswith("e") else kind
        parts = {"dtype": "uint16", "cat": False, "bpm": False, "err": False} if is_raw else {}
        written.append(write_banzai(folder / f"{name}.fits.fz", field, **parts))  # type: ignore[arg-type]
        if tell:
            tell(done + 1, len(planned))
    return written


def _planned(night: Night) -> Iterator[tuple[int, str, Callable[[], Field]]]:
    """Iterate over number, kind and making of each frame."""
    corner = (CENTRE_DEG[0] + 0.3 * night.size_px * SCALE_ARCSEC / 3600, CENTRE_DEG[1])
    for number in range(1, SERIES + 1):
        yield number, "e91", partial(night.exposure, number)
    others: tuple[tuple[int, dict[str, Any]], ...] = (
        (13, {"band": "gp"}),
        (14, {"band": "ip"}),
        (15, {"band": "zs"}),
        (16, {"pointing": corner}),
        (17, {"band": "ip", "cards": {"PROPID": PROPOSAL}}),
    )
    for number, more in others:
        yield number, "e91", partial(night.exposure, number, **more)
    number = 18
    for kind in ("b00", "d00", "f00"):
        for _ in range(OF_EACH):
            yield number, kind, partial(_calibration, night, number, kind)
            number += 1
    yield number, "e00", partial(_raw, night, number)


def _calibration(night: Night, number: int, kind: str) -> Field:
    exposure_s = {"b00": 0.0, "d00": 300.0, "f00": 10.0}[kind]
    light = FLAT * _vignette(night) if kind == "f00" else np.zeros((night.size_px,) * 2)
    blank = star_field(
        size=night.size_px, stars=0, date_obs=TAKEN_AT - timedelta(hours=2), exposure_s=exposure_s
    )
    return _read_out(blank, light, exposure_s, number)


def _raw(night: Night, number: int) -> Field:
    field = night.exposure(SERIES + 1, hot_pixels=0)
    return _read_out(field, field.pixels * _vignette(night), EXPOSURE_S, number)


def _read_out(field: Field, light: NDArray[Any], exposure_s: float, number: int) -> Field:
    """Return an exposure as the camera gives it: with bias, dark current and noise of its own."""
    noise = np.random.default_rng([number, 4]).normal(0, NOISE, light.shape)
    pixels = (BIAS + DARK_PER_S * exposure_s + light + noise).astype(np.float32)
    field.header["RLEVEL"] = 0
    return replace(field, pixels=pixels)


def _vignette(night: Night) -> NDArray[np.float64]:
    """Return how much light reaches each pixel: all of it in the middle, 80 % at the edges."""
    rows, columns = np.mgrid[-1 : 1 : night.size_px * 1j, -1 : 1 : night.size_px * 1j]
    even: NDArray[np.float64] = 1 - 0.1 * (rows**2 + columns**2)
    return even
