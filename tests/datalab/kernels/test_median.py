"""The median of images is numpy's, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from datalab.kernels.median import median
from datalab.kernels.networks import NETWORK_AT_MOST, network, sort_rows
from datalab.kernels.tiles import tiles

KINDS = ["u1", "u2", "i2", "i4", "u4", "f4", "f8"]


def images(count: int, kind: str, shape: tuple[int, int] = (37, 53), seed: int = 0) -> list[NDArray[Any]]:
    random = np.random.default_rng(seed)
    return [random.normal(100, 30, shape).clip(0, 255).astype(kind) for _ in range(count)]


def expected(stack: list[NDArray[Any]]) -> NDArray[np.float32]:
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning) if _empty(stack) else _nothing():
        return np.asarray(np.nanmedian(np.stack(stack), axis=0), np.float32)


def _empty(stack: list[NDArray[Any]]) -> bool:
    return bool(np.isnan(np.stack(stack).astype(float)).all(axis=0).any())


def _nothing() -> Any:
    return np.errstate()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 9, 10, 16, 25, 64])
def test_it_is_that_of_numpy_bit_by_bit(count: int, kind: str) -> None:
    stack = images(count, kind)

    assert median(stack).tobytes() == expected(stack).tobytes()


@pytest.mark.parametrize("count", [NETWORK_AT_MOST, NETWORK_AT_MOST + 1, NETWORK_AT_MOST + 2])
@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_it_is_so_for_more_images_than_a_network_takes(count: int, kind: str) -> None:
    stack = images(count, kind, (5, 7))
    if kind == "f4":
        stack[3][2, 2] = np.nan

    assert median(stack).tobytes() == expected(stack).tobytes()


@given(
    st.integers(2, 12),
    st.integers(0, 1000),
    st.sampled_from(["f4", "f8"]),
    st.floats(0, 1),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_nan_is_left_out(count: int, seed: int, kind: str, part: float, infinite: bool) -> None:
    stack = images(count, kind, (9, 11), seed)
    random = np.random.default_rng(seed)
    for image in stack:
        image[random.random(image.shape) < part] = np.nan
        if infinite:
            image[random.random(image.shape) < 0.1] = np.inf

    assert np.array_equal(median(stack), expected(stack), equal_nan=True)


@given(st.integers(2, 9), st.integers(0, 1000), st.sampled_from(KINDS), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_what_is_masked_is_left_out(count: int, seed: int, kind: str, part: float) -> None:
    stack = images(count, kind, (9, 11), seed)
    random = np.random.default_rng(seed)
    masks = [random.random(image.shape) < part if index % 3 else None for index, image in enumerate(stack)]
    wanted = [image.astype("f8" if kind in ("i4", "u4", "f8") else "f4") for image in stack]
    for image, mask in zip(wanted, masks, strict=True):
        if mask is not None:
            image[mask] = np.nan

    assert np.array_equal(median(stack, masks), expected(wanted), equal_nan=True)


def test_where_nothing_is_valid_it_is_nan() -> None:
    stack = images(2, "u2", (3, 3))
    everything = np.ones((3, 3), np.bool_)

    assert np.isnan(median(stack, [everything, everything])).all()


def test_kinds_may_differ_and_images_be_parts_of_larger_ones() -> None:
    stack = [image[2:9, 3:30] for kind in ("u2", "f4", "i2") for image in images(2, kind)]

    assert np.array_equal(median(stack), expected(stack))


def test_images_stay_as_they_are() -> None:
    stack = images(6, "f4")
    stack[0][0, 0] = np.nan
    before = [image.copy() for image in stack]

    median(stack, [None, stack[0] > 100])

    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(stack, before, strict=True))


@given(st.integers(1, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_a_network_sorts_every_row_of_zeros_and_ones(count: int, data: st.DataObject) -> None:
    """So it sorts everything (the 0-1 principle)."""
    ones = np.random.default_rng(data.draw(st.integers(0, 100))).integers(0, 2, (count, 500))
    block = np.concatenate([ones, np.zeros((1, 500), int)])

    order = sort_rows(block)

    assert np.array_equal(block[order], np.sort(ones, axis=0))


def test_a_network_is_pruned_to_the_ranks_that_are_wanted() -> None:
    assert len(network(7, (3,))) == 14
    assert len(network(10, (4, 5))) == 29


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 200))
def test_tiles_cover_each_pixel_once_and_are_bounded(height: int, width: int, pixels: int) -> None:
    seen = np.zeros((height, width), int)
    for tile in tiles((height, width), pixels):
        seen[tile] += 1
        assert seen[tile].size <= pixels

    assert (seen == 1).all()
