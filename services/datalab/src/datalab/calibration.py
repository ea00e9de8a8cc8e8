"""Calibration of raw frames: bias, dark current and flat field, each the median of frames, and bad pixels.

What is made on the way lies in files and is read by rows, so that it takes no memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from astropy.io.fits import Header
from numpy.typing import NDArray

from datalab.fits.reader import FrameReader
from datalab.fits.series import Series, valid
from datalab.fits.writer import write_frame
from datalab.kernels.median import median
from datalab.kernels.ranks import median_of
from datalab.operations.operation import FileRef, OperationError, Work

_SAME_EXPOSURE: Final = 1e-3
"""Relative difference."""
_HELD_BYTES: Final = 4 << 20
"""Of rows as they are stored: they are worked on with 64 bits."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Masters:
    """What frames are calibrated with; None: not asked for."""

    bias: FrameReader | None = None
    dark: FrameReader | None = None
    """Per second."""
    flat: FrameReader | None = None
    """Its median is 1; what is not above zero is NaN."""
    mask: FrameReader | None = None
    """Not zero where pixels are bad."""
    dark_exposure_s: float | None = None
    """Of darks with bias in them: no other can be calibrated with these."""
    filters: frozenset[str] = frozenset()
    """Of the flats."""

    def applied(self, reader: FrameReader, rows: slice) -> Floats:
        """Return some rows of a frame, calibrated; NaN: bad."""
        values = reader.rows(rows.start, rows.stop).astype(np.float64)
        if self.bias is not None:
            values -= self.bias.rows(rows.start, rows.stop)
        if self.dark is not None:
            values -= self.dark.rows(rows.start, rows.stop) * np.float64(self.exposure_s(reader))
        if self.flat is not None:
            values /= self.flat.rows(rows.start, rows.stop)
        if self.mask is not None:
            values[self.mask.rows(rows.start, rows.stop) != 0] = np.nan
        return valid(values, reader.bad(rows.start, rows.stop))

    def all_applied(self, reader: FrameReader) -> Floats:
        """Return a frame, calibrated some rows at a time."""
        pixels = np.empty(reader.shape, np.float32)
        for rows in Series([reader], reader.shape, _HELD_BYTES).slices():
            pixels[rows] = self.applied(reader, rows)
        return pixels

    def exposure_s(self, reader: FrameReader) -> float:
        """Return how long a frame was exposed.

        Raises:
            OperationError: It does not say so, or these darks cannot be scaled to it.
        """
        exposure_s = _exposure_s(reader)
        scales = self.dark_exposure_s is None or math.isclose(
            exposure_s, self.dark_exposure_s, rel_tol=_SAME_EXPOSURE
        )
        if not scales:
            raise OperationError(
                f"{reader.name} was exposed for {exposure_s:g} s, the darks for {self.dark_exposure_s:g} s:"
                " with bias frames, darks can be scaled"
            )
        return exposure_s


def masters(
    stack: ExitStack, work: Work, folder: Path, refs: dict[str, Sequence[FileRef]], shape: tuple[int, int]
) -> Masters:
    """Make what frames are calibrated with, as files in ``folder`` that are closed with ``stack``.

    Args:
        stack: What it needs stays open until this ends.
        work: Knows where files are.
        folder: Takes files that are not needed afterwards.
        refs: Frames by kind: ``bias``, ``dark``, ``flat``, ``mask``.
        shape: Of what is to be calibrated.

    Raises:
        OperationError: One has another size, no exposure time, or a flat has no light.
    """
    made = Masters()
    if refs["mask"]:
        (mask,) = _opened(stack, work, refs["mask"], shape).readers
        made = Masters(mask=mask)
    if refs["bias"]:
        series = _opened(stack, work, refs["bias"], shape)
        bias = _kept(stack, folder / "bias.fits", _combined(series, _as_it_is))
        made = Masters(bias, mask=made.mask)
    if refs["dark"]:
        series = _opened(stack, work, refs["dark"], shape)
        exposure_s = None if made.bias else _common_exposure_s(series)
        dark = _kept(stack, folder / "dark.fits", _combined(series, partial(_per_second, made)))
        made = Masters(made.bias, dark, None, made.mask, exposure_s)
    if refs["flat"]:
        series = _opened(stack, work, refs["flat"], shape)
        flat = _kept(stack, folder / "flat.fits", _flat(series, made))
        filters = frozenset(name for reader in series.readers if (name := filter_of(reader.header)))
        made = Masters(made.bias, made.dark, flat, made.mask, made.dark_exposure_s, filters)
    return made


def filter_of(header: Header) -> str:
    """Return the filter of a frame; nothing, if it does not say."""
    return str(header.get("FILTER", "")).strip()


def _exposure_s(reader: FrameReader) -> float:
    value = reader.header.get("EXPTIME")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise OperationError(f"{reader.name} has no exposure time (EXPTIME), which darks need")
    return float(value)


def _common_exposure_s(series: Series) -> float:
    times = [_exposure_s(reader) for reader in series.readers]
    if not math.isclose(min(times), max(times), rel_tol=_SAME_EXPOSURE):
        raise OperationError("darks of several exposure times need bias frames")
    return times[0]


def _as_it_is(reader: FrameReader, rows: slice) -> Floats:
    return valid(reader.rows(rows.start, rows.stop), reader.bad(rows.start, rows.stop))


def _per_second(before: Masters, dark: FrameReader, rows: slice) -> Floats:
    exposure_s = _exposure_s(dark)
    if not exposure_s:
        raise OperationError(f"{dark.name} is a dark that was exposed for 0 s")
    return before.applied(dark, rows) / np.float32(exposure_s)


def _opened(stack: ExitStack, work: Work, refs: Sequence[FileRef], shape: tuple[int, int]) -> Series:
    readers = [stack.enter_context(FrameReader(work.path(ref), ref.basename)) for ref in refs]
    for reader in readers:
        same_size(reader, shape)
    return Series(readers, shape, _HELD_BYTES)


def same_size(reader: FrameReader, shape: tuple[int, int]) -> None:
    """Refuse a frame of another size.

    Raises:
        OperationError: It has one.
    """
    if reader.shape != shape:
        ours, theirs = (f"{width} x {height}" for height, width in (reader.shape, shape))
        raise OperationError(f"{reader.name} has {ours} pixels and the first input file {theirs}")


def _combined(series: Series, rows_of: Callable[[FrameReader, slice], Floats]) -> Floats:
    result = np.empty(series.shape, np.float32)
    for rows in series.slices():
        images = [rows_of(reader, rows) for reader in series.readers]
        median(images, out=result[rows])
    return result


def _flat(series: Series, before: Masters) -> Floats:
    """Return the median of flats that were brought to a median of 1, brought there itself."""
    levels: dict[FrameReader, float] = {}
    for reader in series.readers:
        levels[reader] = median_of(before.all_applied(reader))
        if not levels[reader] > 0:
            raise OperationError(f"{reader.name} is a flat without light: its median is {levels[reader]}")
    flat = _combined(series, lambda reader, rows: before.applied(reader, rows) / np.float32(levels[reader]))
    flat /= np.float32(median_of(flat))
    flat[~(flat > 0)] = np.nan
    return flat


def _kept(stack: ExitStack, path: Path, pixels: Floats) -> FrameReader:
    write_frame(path, pixels, Header(), inputs=(), operation="", parameters={}, compression="none")
    return stack.enter_context(FrameReader(path))
