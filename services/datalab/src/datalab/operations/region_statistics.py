"""Region Statistics: numbers about parts of images."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import Field, model_validator

from datalab.operations.operation import FileRef, Inputs, OperationError, Results, Work, files_field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from datalab.fits.reader import Frame

_REGIONS_AT_MOST: Final = 1000
_TILE_PIXELS: Final = 1 << 16
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

    input_files: tuple[FileRef, ...] = files_field("The images to look at")
    regions: str = Field(
        default="",
        max_length=100_000,
        title="Regions",
        description=(
            "box(x, y, width, height) or circle(x, y, radius) in pixels as ds9 counts them,"
            " with ; between them; nothing stands for whole images"
        ),
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
            del frame  # before the next is read
            work.progress((number + 1) / len(inputs.input_files))
        return Results(data=[{"region_statistics": rows}])


def _statistics(frame: Frame, region: Region | None, name: str) -> Mapping[str, Any]:
    import numpy as np

    from datalab.kernels.ranks import median_of_parts

    counts = np.zeros(4, np.int64)
    for values, bad in _parts(frame, region):
        known = np.isfinite(values)
        counts += np.array((values.size, (known & ~bad).sum(), values.size - known.sum(), bad.sum()))
    pixels, count, nan_count, bad_count = counts.tolist()
    if not pixels:
        raise OperationError(f"{region.text if region else 'the image'} has no pixel of {name}")
    found: dict[str, Any] = {
        "basename": name,
        "region": region.text if region else "image",
        "pixels": pixels,
        "count": count,
        "nan_count": nan_count,
        "bad_count": bad_count,
    }
    if not count:
        return found | dict.fromkeys(("mean", "median", "std", "min", "max", "sum"))
    total = sum(float(part.sum()) for part in _numbers(frame, region))
    mean = total / count
    variance = sum(float(np.square(part - mean).sum()) for part in _numbers(frame, region)) / count
    return found | {
        "mean": mean,
        "median": median_of_parts(lambda: _numbers(frame, region)),
        "std": math.sqrt(variance),
        "min": min(float(part.min()) for part in _numbers(frame, region)),
        "max": max(float(part.max()) for part in _numbers(frame, region)),
        "sum": total,
    }


def _numbers(frame: Frame, region: Region | None) -> Iterator[NDArray[np.float64]]:
    """Give those pixels of a region that are numbers, and not bad, part by part."""
    import numpy as np

    for values, bad in _parts(frame, region):
        numbers = values[np.isfinite(values) & ~bad]
        if numbers.size:
            yield numbers.astype(np.float64)


def _parts(frame: Frame, region: Region | None) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Give the pixels whose middles are in a region, and which of them are marked as bad, part by part."""
    import numpy as np

    from datalab.kernels.tiles import tiles

    height, width = frame.pixels.shape
    box = (slice(0, height), slice(0, width)) if region is None else _box(region, (height, width))
    shape = (box[0].stop - box[0].start, box[1].stop - box[1].start)
    for rows, columns in tiles(shape, _TILE_PIXELS) if min(shape) > 0 else ():
        tile = (
            slice(box[0].start + rows.start, box[0].start + rows.stop),
            slice(box[1].start + columns.start, box[1].start + columns.stop),
        )
        values = frame.pixels[tile]
        bad = np.zeros(values.shape, np.bool_) if frame.mask is None else frame.mask[tile]
        if region is not None and region.is_round:
            inside = _inside(region, tile)
            values, bad = values[inside], bad[inside]
        yield values, bad


def _box(region: Region, shape: tuple[int, int]) -> tuple[slice, slice]:
    rows, columns = (
        slice(
            min(side, max(0, math.ceil(middle - 1 - size / 2))),
            min(side, max(0, math.floor(middle - 1 + size / 2) + 1)),
        )
        for side, middle, size in zip(shape, (region.y, region.x), (region.height, region.width), strict=True)
    )
    return rows, columns


def _inside(region: Region, tile: tuple[slice, slice]) -> NDArray[np.bool_]:
    import numpy as np

    rows, columns = np.ogrid[tile]
    inside: NDArray[np.bool_] = np.hypot(rows + 1 - region.y, columns + 1 - region.x) <= region.width / 2
    return inside
