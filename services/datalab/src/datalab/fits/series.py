"""Several images together, some rows at a time: what they take is bounded, however many they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datalab.fits.reader import FrameReader
from datalab.kernels.ranks import median_of, median_of_parts
from datalab.operations.operation import FileRef, OperationError, Work

_HELD_BYTES: Final = 16 << 20
"""Of the rows of all images."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The same rows of all images."""

    rows: slice
    pixels: list[NDArray[Any]]
    masks: list[NDArray[np.bool_] | None]


@dataclass(frozen=True, slots=True)
class Series:
    """Images that are open, and the size that all of them have at their lower left."""

    readers: Sequence[FrameReader]
    shape: tuple[int, int]
    held_bytes: int = _HELD_BYTES
    """What the rows of all images that are read together may take."""

    def slices(self) -> Iterator[slice]:
        """Give rows that are to be read together, from the lowest on."""
        height = self.shape[0]
        widest = max(reader.shape[1] for reader in self.readers)
        row_bytes = sum(reader.dtype.itemsize + reader.has_mask for reader in self.readers) * widest
        together = max(reader.tile_rows for reader in self.readers)
        rows = max(1, self.held_bytes // row_bytes)
        if rows > together:
            rows -= rows % together
        for start in range(0, height, rows):
            yield slice(start, min(start + rows, height))

    def parts(self) -> Iterator[Rows]:
        """Give the rows of all images, from the lowest on."""
        width = self.shape[1]
        for part in self.slices():
            pixels = [reader.rows(part.start, part.stop)[:, :width] for reader in self.readers]
            masks = [_cut(reader.bad(part.start, part.stop), width) for reader in self.readers]
            yield Rows(part, pixels, masks)


def _cut(mask: NDArray[np.bool_] | None, width: int) -> NDArray[np.bool_] | None:
    return None if mask is None else mask[:, :width]


@contextmanager
def opened_series(work: Work, refs: Sequence[FileRef]) -> Iterator[Series]:
    """Open images by the names that users know them by.

    Raises:
        OperationError: One of them cannot be read.
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(FrameReader(work.path(ref), ref.basename)) for ref in refs]
        heights, widths = zip(*(reader.shape for reader in readers), strict=True)
        yield Series(readers, (min(heights), min(widths)))


def valid(pixels: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Return pixels as floats of their own, NaN where they are bad."""
    floats = pixels.astype(np.float32)
    if mask is not None:
        floats[mask] = np.nan
    return floats


def whole(reader: FrameReader) -> NDArray[np.float32]:
    """Return an image as floats, NaN where it is bad, unpacked some rows at a time."""
    pixels = np.empty(reader.shape, np.float32)
    for rows in Series([reader], reader.shape, _HELD_BYTES // 4).slices():
        pixels[rows] = valid(reader.rows(rows.start, rows.stop), reader.bad(rows.start, rows.stop))
    return pixels


def scales(series: Series) -> list[float]:
    """Return what the images are multiplied with to have the median of the first.

    Raises:
        OperationError: A median is not above zero.
    """
    medians = []
    for reader in series.readers:
        medians.append(median_of(whole(reader)))
        if not medians[-1] > 0:
            raise OperationError(f"{reader.name} cannot be scaled: the median of its pixels is {medians[-1]}")
    return [medians[0] / median for median in medians]


def error_weights(series: Series, factors: Sequence[float] | None = None) -> list[float]:
    """Return how much the images count by their errors, 1 in the mean: their inverse median variances.

    Args:
        series: The images.
        factors: What each is multiplied with before, as its errors are then.

    Raises:
        OperationError: One does not say its errors.
    """
    weights = []
    for reader, factor in zip(series.readers, factors or [1.0] * len(series.readers), strict=True):
        error = _median_error(reader) * factor
        if not error > 0:
            raise OperationError(f"{reader.name} has no errors (ERR) that it could be weighed by")
        weights.append(error**-2)
    return [weight * len(weights) / sum(weights) for weight in weights]


def _median_error(reader: FrameReader) -> float:
    """Return the median of an image's errors; NaN: it says none."""
    if not reader.has_error:
        return float("nan")

    def parts() -> Iterator[NDArray[np.float32]]:
        for rows in Series([reader], reader.shape, _HELD_BYTES // 4).slices():
            errors = reader.error(rows.start, rows.stop)
            if errors is not None:
                yield errors.ravel()

    return median_of_parts(parts)
