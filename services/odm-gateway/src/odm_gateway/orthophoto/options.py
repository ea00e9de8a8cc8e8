"""What a user may ask of the engine, by ODM's option names."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, cast, get_args

from .models import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FeatureQuality = Literal["ultra", "high", "medium", "low", "lowest"]


class Option(TypedDict):
    """One option as NodeODM's API carries it."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Preset:
    """How closely photos are looked at."""

    longer_side_px: int
    features: int


PRESETS: Final[Mapping[FeatureQuality, Preset]] = {
    "ultra": Preset(1600, 10_000),
    "high": Preset(1200, 6_000),
    "medium": Preset(800, 4_000),
    "low": Preset(640, 2_500),
    "lowest": Preset(480, 1_500),
}


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Everything that steers a run."""

    orthophoto_resolution_cm: float = 5.0
    """Ground width of an output pixel; never finer than the photos."""
    feature_quality: FeatureQuality = "medium"
    min_num_features: int | None = None
    """Features kept per photo; ``None`` is the preset's own number."""
    matcher_neighbors: int = 10
    gps_accuracy_m: float | None = None
    """Standard deviation of the photos' positions; ``None`` measures it."""
    crop_m: float = 3.0
    """How far the outline is drawn in; 0 keeps everything."""
    max_concurrency: int = os.cpu_count() or 1
    dsm: bool = False
    orthophoto_png: bool = False
    cog: bool = False
    skip_report: bool = False
    max_photo_megapixels: float = 200.0
    max_canvas_megapixels: float = 400.0

    @property
    def longer_side_px(self) -> int:
        """Size to which photos are shrunk to look for features."""
        return PRESETS[self.feature_quality].longer_side_px

    @property
    def features_per_photo(self) -> int:
        """How many features are kept of each photo."""
        return self.min_num_features or PRESETS[self.feature_quality].features


def parse_options(asked: Iterable[Option]) -> tuple[EngineOptions, list[str]]:
    """Return the options to run with, and the names of those that are ignored.

    Raises:
        EngineError: ``BAD_OPTION``, a known option has a value that it cannot have.
    """
    options = EngineOptions()
    ignored: list[str] = []
    for option in asked:
        name = option["name"]
        if name not in _READERS:
            if not _always_so(option):
                ignored.append(name)
            continue
        field, read = _READERS[name]
        value: Any = _read(name, option["value"], read)
        options = replace(options, **{field: value})
    return options, ignored


def _always_so(option: Option) -> bool:
    """Return whether a run does what is asked whatever its options: this engine is ODM's fast one."""
    return option["name"] == "fast-orthophoto" and bool(_read(option["name"], option["value"], _flag))


def _read(name: str, raw: object, read: Callable[[object], object]) -> object:
    try:
        return read(raw)
    except (TypeError, ValueError) as error:
        raise EngineError("BAD_OPTION", f"Option {name} cannot be {raw!r}: {error}.") from error


def _number(low: float, high: float) -> Callable[[object], float]:
    def read(raw: object) -> float:
        value = float(cast("str", raw))
        if not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"it must lie between {low:g} and {high:g}")
        return value

    return read


def _whole(low: int, high: int) -> Callable[[object], int]:
    within = _number(low, high)

    def read(raw: object) -> int:
        value = within(raw)
        if value != int(value):
            raise ValueError("it must be a whole number")
        return int(value)

    return read


def _flag(raw: object) -> bool:
    known = {"true": True, "1": True, "on": True, "": True, "false": False, "0": False, "off": False}
    text = str(raw).strip().lower()
    if text not in known:
        raise ValueError("it must be true or false")
    return known[text]


def _quality(raw: object) -> FeatureQuality:
    if raw not in get_args(FeatureQuality):
        raise ValueError("it must be one of " + ", ".join(get_args(FeatureQuality)))
    return cast("FeatureQuality", raw)


def _neighbors(raw: object) -> int:
    """Read ODM's number of neighbours, where 0 leaves the choice to the engine."""
    return _whole(0, 100)(raw) or EngineOptions().matcher_neighbors


_READERS: Final[Mapping[str, tuple[str, Callable[[object], object]]]] = {
    "orthophoto-resolution": ("orthophoto_resolution_cm", _number(0.1, 10_000.0)),
    "feature-quality": ("feature_quality", _quality),
    "min-num-features": ("min_num_features", _whole(500, 50_000)),
    "matcher-neighbors": ("matcher_neighbors", _neighbors),
    "gps-accuracy": ("gps_accuracy_m", _number(0.001, 1_000.0)),
    "crop": ("crop_m", _number(0.0, 10_000.0)),
    "max-concurrency": ("max_concurrency", _whole(1, 1_024)),
    "dsm": ("dsm", _flag),
    "orthophoto-png": ("orthophoto_png", _flag),
    "cog": ("cog", _flag),
    "skip-report": ("skip_report", _flag),
}
