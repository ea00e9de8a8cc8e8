"""The one way in which this bench says how values are spread."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest rank: the smallest value that so many percent of all are at most.

    It is always one of the values, never something between two of them.

    Args:
        ordered: The values, the smallest first; at least one.
        percent: Above 0, and up to 100.
    """
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1]
