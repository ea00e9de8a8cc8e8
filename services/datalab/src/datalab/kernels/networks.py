"""Sorting networks: which pairs of values to put in order so that the wanted ranks are where they belong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

NETWORK_AT_MOST: Final = 256
"""Values; of more, other ways are not slower."""


class Step(NamedTuple):
    """Of two values the smaller to ``low`` and the larger to ``high``, if they are wanted there."""

    low: int
    high: int
    wants_low: bool
    wants_high: bool


@cache
def network(count: int, ranks: tuple[int, ...]) -> tuple[Step, ...]:
    """Return the steps after which those of ``count`` values that have ``ranks`` are at these places.

    It is Batcher's odd-even merge sort, of which what the ranks do not need is left out.
    """
    wanted = set(ranks)
    kept = []
    for low, high in reversed(list(_pairs(count))):
        if low in wanted or high in wanted:
            kept.append(Step(low, high, low in wanted, high in wanted))
            wanted |= {low, high}
    return tuple(reversed(kept))


def arranged(
    steps: Sequence[Step], values: Sequence[NDArray[Any]], buffers: Sequence[NDArray[Any]] | NDArray[Any]
) -> list[NDArray[Any]]:
    """Return what the steps make of arrays of values, each at its place.

    Args:
        steps: Of a network.
        values: Arrays of one shape; they stay as they are.
        buffers: One more than values, of their shape; the result is in them, or in values that no step moves.
    """
    places, own, spare = list(values), list(buffers[:-1]), buffers[-1]
    for low, high, wants_low, wants_high in steps:
        one, other = places[low], places[high]
        if wants_low and wants_high:
            np.minimum(one, other, out=spare)
            np.maximum(one, other, out=own[high])
            own[low], spare = spare, own[low]
            places[low], places[high] = own[low], own[high]
        elif wants_low:
            places[low] = np.minimum(one, other, out=own[low])
        else:
            places[high] = np.maximum(one, other, out=own[high])
    return places


def sort_rows(block: NDArray[Any]) -> NDArray[np.int64]:
    """Sort all rows but the last, pixel by pixel and in place, and return which row holds each rank.

    None of the values may be NaN; what the last row holds does not matter.
    """
    count = len(block) - 1
    if count > NETWORK_AT_MOST:
        block[:-1].sort(axis=0)
        return np.arange(count)
    rows, order, spare = list(block), list(range(count)), count
    for low, high, _, _ in network(count, tuple(range(count))):
        one, other = rows[order[low]], rows[order[high]]
        np.minimum(one, other, out=rows[spare])
        np.maximum(one, other, out=other)
        order[low], spare = spare, order[low]
    return np.array(order)


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    power = 1
    while power < count:
        step = power
        while step >= 1:
            for start in range(step % power, count - step, 2 * step):
                for low in range(start, min(start + step, count - step)):
                    if low // (2 * power) == (low + step) // (2 * power):
                        yield low, low + step
            step //= 2
        power *= 2
