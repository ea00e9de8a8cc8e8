"""Several images as one picture in colours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datalab.composing.placing import Image, Placed, opened, part_of, placed_on, placed_unaligned, strips
from datalab.fits.series import valid
from datalab.operations.color_image import ColorChannel, ColorImageInputs
from datalab.operations.operation import OperationError, OutputFile, Progress, Results, Work
from datalab.pictures.blending import Blend, Light
from datalab.pictures.color_tiff import ColorTiff
from datalab.pictures.encoding import write_pair
from datalab.pictures.stretching import Levels, levels, sampled

_NAME = "color"
_GROUPS: Final = 32
_GROUP_ROWS: Final = 8
"""Rows that are read together to find levels."""


def coloured(inputs: ColorImageInputs, work: Work) -> Results:
    """Compute what was asked for.

    Raises:
        OperationError: A channel is no image, or cannot be laid on the first.
    """
    channels = inputs.color_channels
    with ExitStack() as stack:
        images = opened(stack, channels, work)
        if inputs.alignment == "none":
            placed = placed_unaligned(images[0], images)
        else:
            placed = placed_on(images[0], images, inputs.alignment)
        work.progress(0.2)
        shades = [_levels(*one) for one in zip(channels, images, strict=True)]
        tif = work.folder / f"{_NAME}.tif"
        picture = blended(placed, channels, shades, tif, part_of(work.progress, 0.3, 0.8))
    return Results(files=[_pictures(picture, tif, work, shades, channels)])


def _levels(channel: ColorChannel, image: Image) -> Levels:
    """Return a channel's levels, its image's own where none are given."""
    if channel.zmin is not None and channel.zmax is not None:
        return Levels(channel.zmin, channel.zmax)
    own = levels(sampled(_some_rows(image)))
    zmin = own.zmin if channel.zmin is None else channel.zmin
    zmax = own.zmax if channel.zmax is None else channel.zmax
    if zmin >= zmax:
        raise OperationError(f"{channel.basename}: its levels would be {zmin:g} to {zmax:g}; give both")
    return Levels(zmin, zmax)


def _some_rows(image: Image) -> NDArray[np.float32]:
    """Return as many rows as levels need, in groups from all over the image, NaN where they are bad."""
    height, deep = image.shape[0], max(_GROUP_ROWS, image.reader.tile_rows)
    starts = range(0, height, deep * max(1, height // (deep * _GROUPS)))
    return np.concatenate(
        [
            valid(image.reader.rows(*rows), image.reader.bad(*rows))
            for rows in ((start, min(start + deep, height)) for start in starts)
        ]
    )


def blended(
    placed: Sequence[Placed],
    channels: Sequence[ColorChannel],
    shades: Sequence[Levels],
    tif: Path,
    progress: Progress,
) -> NDArray[np.uint8]:
    """Write all channels' light as a TIFF, on the pixels of the first, and return it as JPEG has it.

    No image is held as a whole but what is returned: the first row at the top; blue, green, red.
    """
    height, width = shape = placed[0].pixels.shape
    blend, picture = Blend(), np.empty((height, width, 3), np.uint8)
    parts = strips(shape)
    colors = [(one.color.r / 255, one.color.g / 255, one.color.b / 255) for one in channels]
    with ColorTiff(tif, shape) as file:
        for number, rows in enumerate(parts):
            lights = (
                Light(one.rows(rows).values(), shade, rgb)
                for one, shade, rgb in zip(placed, shades, colors, strict=True)
            )
            found = blend.of(lights, (rows.stop - rows.start, width))
            file.put(height - rows.stop, found)
            np.right_shift(
                found[..., ::-1], 8, out=picture[height - rows.stop : height - rows.start], casting="unsafe"
            )
            progress((number + 1) / len(parts))
    return picture


def _pictures(
    picture: NDArray[np.uint8],
    tif: Path,
    work: Work,
    shades: Sequence[Levels],
    channels: Sequence[ColorChannel],
) -> OutputFile:
    large, small = write_pair(picture, work.folder, _NAME)
    work.progress(1.0)
    names = ", ".join(channel.basename for channel in channels)
    levels_used = [
        {"basename": one.basename, **shade._asdict()} for one, shade in zip(channels, shades, strict=True)
    ]
    return OutputFile(
        tif=tif,
        large_jpg=large,
        small_jpg=small,
        comment=f"Colors of {names}",
        facts={"channels": levels_used},
    )
