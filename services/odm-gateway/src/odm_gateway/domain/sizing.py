"""How much memory, processor, disk and time a job gets, from its images and options.

The figures are priors from published field data (ScaleODM 1.1.1, which lists measured peaks); the memory
ladder corrects them where they are too low.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Literal

from shared.events import Option

Capacity = Literal["spot", "on-demand"]

GIB = 1 << 30
RUNGS = 4
RUNG_FACTOR = 1.5
"""Every time that a process ran out of memory, the next one gets so much more."""
HEADROOM = 1.2
"""A limit 20 % above the expected peak, as ScaleODM has it."""
GIB_PER_CORE = 8
ON_DEMAND_FROM_IMAGES = 5_000
"""A run of days is likely to lose its spot node more than once (ScaleODM's limit)."""
TYPICAL_IMAGE_BYTES = 8_000_000
SPLIT_SHARE = 2
"""A submodel's images come with those of the overlap, and merging holds several rasters: our estimate."""
SHORTEST = timedelta(hours=6)
PER_IMAGE = timedelta(minutes=2)

_PEAKS_GIB: Sequence[tuple[int, float]] = (
    (0, 4), (40, 18), (200, 25), (500, 37), (1_000, 58), (1_500, 79), (2_500, 121), (3_500, 163),
    (5_000, 227), (12_000, 800),
)  # fmt: skip
"""Peak memory by images. ScaleODM's table begins at 40 images; 4 GiB for none is what its manual says."""


@dataclass(frozen=True, slots=True)
class _Effort:
    """What a kind of product costs, relative to the usual ones."""

    memory_factor: float
    disk_per_input: float
    disk_per_image_gib: float
    least_disk_gib: int


_FAST = _Effort(0.5, 6, 0.075, 20)
_USUAL = _Effort(1.0, 8, 0.10, 30)
_SURFACES = _Effort(1.5, 12, 0.15, 100)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator allows."""

    memory_gib: tuple[int, int]
    """Least and most."""
    cores: int = 64
    disk_gib: int = 1_024
    deadline: timedelta = timedelta(hours=48)
    on_demand_from_images: int = ON_DEMAND_FROM_IMAGES

    def within(self, memory_gib: int | None) -> Limits:
        """Return those of a place where a job can have no more than so much memory; None: there is more."""
        if memory_gib is None:
            return self
        least, most = self.memory_gib
        return replace(self, memory_gib=(min(least, memory_gib), min(most, memory_gib)))


@dataclass(frozen=True, slots=True)
class Size:
    """What one job gets."""

    memory_gib: tuple[int, ...]
    """One figure per rung of the ladder."""
    cores: int
    disk_gib: int
    deadline: timedelta
    capacity: Capacity


def size_of(image_count: int, total_bytes: int, options: Sequence[Option], limits: Limits) -> Size:
    """Return what a job gets.

    Args:
        image_count: 0 or less where nobody knows; then ``total_bytes`` counts.
        total_bytes: Of all its files; 0 where nobody knows.
        options: Those of the job.
        limits: What it may get at most, and at least.
    """
    images = image_count if image_count > 0 else math.ceil(total_bytes / TYPICAL_IMAGE_BYTES)
    memory = _ladder(_peak_gib(images, options) * HEADROOM, limits)
    return Size(
        memory_gib=memory,
        cores=min(limits.cores, math.ceil(memory[0] / GIB_PER_CORE)),
        disk_gib=_disk_gib(images, total_bytes, options, limits),
        deadline=min(limits.deadline, SHORTEST + images * PER_IMAGE),
        capacity="on-demand" if images >= limits.on_demand_from_images else "spot",
    )


def _peak_gib(images: int, options: Sequence[Option]) -> float:
    return _table_gib(min(images, _at_once(images, options))) * _effort(options).memory_factor


def _at_once(images: int, options: Sequence[Option]) -> int:
    """Return how many images are worked on together."""
    for option in options:
        if option.name == "split" and isinstance(option.value, int | float) and option.value >= 1:
            return int(option.value) * SPLIT_SHARE
    return images


def _table_gib(images: int) -> float:
    for (count, peak), (next_count, next_peak) in pairwise(_PEAKS_GIB):
        if images <= next_count or next_count == _PEAKS_GIB[-1][0]:  # beyond the table, its last slope
            return peak + (images - count) * (next_peak - peak) / (next_count - count)
    raise AssertionError


def _ladder(first_gib: float, limits: Limits) -> tuple[int, ...]:
    least, most = limits.memory_gib
    first = max(least, first_gib)
    return tuple(min(most, math.ceil(first * RUNG_FACTOR**rung)) for rung in range(RUNGS))


def _disk_gib(images: int, total_bytes: int, options: Sequence[Option], limits: Limits) -> int:
    effort = _effort(options)
    wanted = max(
        total_bytes / GIB * effort.disk_per_input, images * effort.disk_per_image_gib, effort.least_disk_gib
    )
    return min(limits.disk_gib, math.ceil(wanted))


def _effort(options: Sequence[Option]) -> _Effort:
    asked = {option.name for option in options if is_on(option)}
    if asked & {"dsm", "dtm"}:
        return _SURFACES
    return _FAST if "fast-orthophoto" in asked else _USUAL


def is_on(option: Option) -> bool:
    """Return whether a switch is on."""
    return option.value is True or str(option.value).lower() == "true"
