"""The median of all numbers of an image is numpy's, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from datalab.kernels.ranks import median_of, median_of_parts

KINDS: list[Any] = [np.float32, np.float64]
SIDES = npst.array_shapes(min_dims=2, max_dims=2, max_side=9)


@given(
    st.sampled_from(KINDS).flatmap(
        lambda kind: npst.arrays(kind, SIDES, elements=st.floats(-(2.0**99), 2.0**99, width=32))
    ),
    st.integers(0, 9),
)
def test_it_is_that_of_numpy_of_what_is_finite(pixels: NDArray[Any], unknown: int) -> None:
    pixels.flat[:unknown] = [np.nan, np.inf, -np.inf][unknown % 3]
    finite = pixels[np.isfinite(pixels)].astype(np.float64)

    found = median_of(pixels)

    assert np.array_equal(found, np.median(finite) if finite.size else np.nan, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0.0, 1000.0, -3e-5])
def test_it_is_exact_over_tiles(kind: Any, level: float) -> None:
    pixels = np.random.default_rng(0).normal(level, 1, (301, 499)).astype(kind)

    assert median_of(pixels) == np.median(pixels.astype(np.float64))


def test_parts_are_asked_for_again_and_never_kept() -> None:
    rounds: list[int] = []

    def parts() -> list[NDArray[Any]]:
        rounds.append(1)
        return [np.array(part, np.float32) for part in ([1, 2], [9], [])]

    assert median_of_parts(parts) == 2
    assert len(rounds) == 2
