"""What other tests rely on in the synthetic sky."""

from datetime import timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

from flightline.archive_simulator.banzai import write_banzai
from flightline.archive_simulator.star_fields import TAKEN_AT, Moving, Variable, star_field


def test_one_seed_is_one_sky_in_every_exposure_and_pointing() -> None:
    first = star_field(size=64, stars=5, seed=7)
    moved = star_field(size=64, stars=5, seed=7, exposure=1, shift=(3.0, -2.0))
    assert np.array_equal(first.pixels, star_field(size=64, stars=5, seed=7).pixels)
    assert np.array_equal(first.truth["ra"], moved.truth["ra"])
    np.testing.assert_allclose(moved.truth["x"] - first.truth["x"], 3.0, atol=1e-6)
    np.testing.assert_allclose(moved.truth["y"] - first.truth["y"], -2.0, atol=1e-6)


def test_light_is_conserved() -> None:
    field = star_field(size=128, stars=10, noise=0.0, photon_noise=False, background=5.0)
    light = field.pixels.sum(dtype=float) - 5.0 * 128 * 128
    np.testing.assert_allclose(light, field.truth["flux"].sum(), rtol=1e-4)


def test_a_variable_varies_and_a_mover_moves() -> None:
    start = {"variable": Variable(2, 0.5, 0.2), "moving": Moving(150.0, 2.2, 60370.0)}
    first = star_field(size=64, stars=5, **start)  # type: ignore[arg-type]
    later = star_field(size=64, stars=5, date_obs=TAKEN_AT + timedelta(hours=1), **start)  # type: ignore[arg-type]
    changed = np.flatnonzero(first.truth["mag"] != later.truth["mag"])
    assert list(changed) == [2]
    assert first.mover
    assert later.mover
    assert abs((later.mover["ra"] - first.mover["ra"]) * 3600 - 30.0) < 0.1


def test_files_are_as_banzai_writes_them(tmp_path: Path) -> None:
    """Row: frames as BANZAI writes them."""
    field = star_field(size=64, stars=5, hot_pixels=4, nan_fraction=0.01)
    with fits.open(write_banzai(tmp_path / "a.fits.fz", field, compress="gzip")) as units:
        assert [unit.name for unit in units] == ["PRIMARY", "SCI", "CAT", "BPM", "ERR"]
        np.testing.assert_array_equal(units["SCI"].data, field.pixels)
        assert units["BPM"].data.sum() == 4
        star = units["CAT"].data[0]
        brightest = field.truth[np.argmax(field.truth["flux"])]
        assert abs(star["xwin"] - 1 - brightest["x"]) < 0.1
        assert abs(star["mag"] - brightest["mag"]) < 0.02
