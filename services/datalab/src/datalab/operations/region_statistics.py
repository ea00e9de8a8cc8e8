"""Region Statistics: numbers about parts of images."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import Field, model_validator

from datalab.operations.operation import FileRef, Inputs, OperationError, Results, Work

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from datalab.fits.reader import Frame

_REGIONS_AT_MOST: Final = 1000
_NUMBER: Final = r"\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_FORMS: Final = {
    "box": re.compile(rf"box\({_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\)"),
    "circle": re.compile(rf"circle\({_NUMBER},{_NUMBER},{_NUMBER}\)"),
}


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an image: the pixels whose middles are in it."""

    text: str
    x: float
    """Of its middle; 1 is the middle of the first pixel, as in FITS headers and ds9."""
    y: float
    width: float
    """Of a circle: its diameter, as its height."""
    height: float
    is_round: bool


def regions_of(text: str) -> tuple[Region, ...]:
    """Return the regions that a text has, by ``;`` or on lines of their own.

    Raises:
        ValueError: One is none, or there are too many.
    """
    found = tuple(_region(part.strip()) for part in re.split(r"[;\n]", text) if part.strip())
    if len(found) > _REGIONS_AT_MOST:
        raise ValueError(f"there may be {_REGIONS_AT_MOST} regions")
    return found


def _region(text: str) -> Region:
    for name, form in _FORMS.items():
        matched = form.fullmatch(text.lower())
        if matched:
            x, y, *sizes = (float(number) for number in matched.groups())
            if not all(0 < size < 1e6 for size in sizes) or abs(x) > 1e6 or abs(y) > 1e6:  # noqa: PLR2004
                break
            width, height = (2 * sizes[0], 2 * sizes[0]) if name == "circle" else sizes
            return Region(text, x, y, width, height, name == "circle")
    raise ValueError(
        f"{text[:60]!r} is not a region such as box(x, y, width, height) or circle(x, y, radius)"
    )


class RegionStatisticsInputs(Inputs):
    """Of what there are to be statistics."""

    input_files: tuple[FileRef, ...] = Field(
        min_length=1,
        max_length=999,
        json_schema_extra={"type": "fits", "name": "Input Files", "description": "The images to look at"},
    )
    regions: str = Field(
        default="",
        max_length=100_000,
        json_schema_extra={
            "type": "string",
            "name": "Regions",
            "description": "box(x, y, width, height) or circle(x, y, radius) in pixels as ds9 counts them,"
            " with ; between them; nothing stands for whole images",
        },
    )

    @model_validator(mode="after")
    def _has_regions(self) -> Self:
        regions_of(self.regions)
        return self


class RegionStatistics:
    """Computes statistics of boxes and circles of images."""

    name: ClassVar[str] = "Region Statistics"
    description: ClassVar[str] = (
        "Region statistics are the mean, median, standard deviation, minimum, maximum and sum of the pixels"
        " in boxes and circles of each image, without those that are bad."
    )
    category: ClassVar[str] = "data"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[RegionStatisticsInputs]] = RegionStatisticsInputs

    @staticmethod
    def compute(inputs: RegionStatisticsInputs, work: Work) -> Results:
        """Return a row for each region of each image."""
        # ruff: noqa: PLC0415 - only workers load what computes
        from datalab.fits.reader import read_frame

        regions = regions_of(inputs.regions)
        rows: list[Mapping[str, Any]] = []
        for number, ref in enumerate(inputs.input_files):
            frame = read_frame(work.path(ref), name=ref.basename)
            rows += [_statistics(frame, region, ref.basename) for region in regions or (None,)]
            work.progress((number + 1) / len(inputs.input_files))
        return Results(data=[{"region_statistics": rows}])


def _statistics(frame: Frame, region: Region | None, name: str) -> Mapping[str, Any]:
    import numpy as np

    values, bad = _values(frame, region)
    if not values.size:
        raise OperationError(f"{region.text if region else 'the image'} has no pixel of {name}")
    numbers = values[np.isfinite(values) & ~bad].astype(np.float64)
    found: dict[str, Any] = {
        "basename": name,
        "region": region.text if region else "image",
        "pixels": int(values.size),
        "count": int(numbers.size),
        "nan_count": int(np.count_nonzero(~np.isfinite(values))),
        "bad_count": int(np.count_nonzero(bad)),
    }
    names = ("mean", "median", "std", "min", "max", "sum")
    if not numbers.size:
        return found | dict.fromkeys(names)
    computed: tuple[Callable[..., Any], ...] = (np.mean, np.median, np.std, np.min, np.max, np.sum)
    return found | {key: float(compute(numbers)) for key, compute in zip(names, computed, strict=True)}


def _values(frame: Frame, region: Region | None) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the pixels whose middles are in a region, and which of them are marked as bad."""
    import numpy as np

    if region is None:
        pixels = frame.pixels.ravel()
        return pixels, np.zeros(pixels.shape, np.bool_) if frame.mask is None else frame.mask.ravel()
    part = tuple(
        slice(max(0, int(np.ceil(middle - 1 - size / 2))), max(0, int(np.floor(middle - 1 + size / 2)) + 1))
        for middle, size in ((region.y, region.height), (region.x, region.width))
    )
    pixels = frame.pixels[part]
    bad = np.zeros(pixels.shape, np.bool_) if frame.mask is None else frame.mask[part]
    if not region.is_round:
        return pixels.ravel(), bad.ravel()
    rows, columns = np.indices(pixels.shape)
    away = np.hypot(rows + part[0].start + 1 - region.y, columns + part[1].start + 1 - region.x)
    inside = away <= region.width / 2
    return pixels[inside], bad[inside]
