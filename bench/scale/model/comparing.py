"""The same day under several policies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bench.scale.model.day import Day
from bench.scale.model.parameters import LADDERS, Chart, Policy, Times, World, read_chart


@dataclass(frozen=True, slots=True)
class Row:
    """One policy and its day."""

    name: str
    figures: dict[str, Any]


def policies(chart: Chart) -> dict[str, Policy]:
    """Return what is compared: sizes of the window, ladders, and what spot nodes do."""
    wide = max(1_000, chart.window)
    sizes = {f"window {size}": Policy(size) for size in sorted({chart.window, 500, 750, wide})}
    ladders = {f"ladder {ladder.name}": Policy(wide, ladder) for ladder in LADDERS[1:]}
    return {
        **sizes,
        **ladders,
        "on demand": Policy(wide, is_spot=False),
        "spot, from the beginning": Policy(wide, resumes=False),
    }


def compare(times: Times, world: World | None = None, chart: Chart | None = None) -> list[Row]:
    """Return a day under each policy."""
    chart, world = chart or read_chart(), world or World()
    return [
        Row(name, Day(chart, times, replace(world), policy).run()) for name, policy in policies(chart).items()
    ]
