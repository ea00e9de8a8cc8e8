"""Several images as one picture in colours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from datalab.composing.placing import Image, Placed, opened, part_of, placed_on, placed_unaligned, strips
from datalab.operations.color_image import ColorChannel, ColorImageInputs
from datalab.operations.operation import OperationError, OutputFile, Progress, Results, Work
from datalab.pictures.blending import Blend
from datalab.pictures.encoding import write_pair, write_tiff
from datalab.pictures.stretching import Levels, levels, sampled

_NAME = "color"


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
        blend = blended(placed, channels, shades, part_of(work.progress, 0.3, 0.8))
    return Results(files=[_pictures(blend, work, shades, channels)])


def _levels(channel: ColorChannel, image: Image) -> Levels:
    """Return a channel's levels, its image's own where none are given."""
    if channel.zmin is not None and channel.zmax is not None:
        return Levels(channel.zmin, channel.zmax)
    own = levels(np.sort(np.concatenate([sampled(_known(image, rows)) for rows in strips(image.shape)])))
    zmin = own.zmin if channel.zmin is None else channel.zmin
    zmax = own.zmax if channel.zmax is None else channel.zmax
    if zmin >= zmax:
        raise OperationError(f"{channel.basename}: its levels would be {zmin:g} to {zmax:g}; give both")
    return Levels(zmin, zmax)


def _known(image: Image, rows: slice) -> NDArray[np.float32]:
    found = image.window(rows)
    return found.values if found.valid is None else np.where(found.valid, found.values, np.float32(np.nan))


def blended(
    placed: Sequence[Placed],
    channels: Sequence[ColorChannel],
    shades: Sequence[Levels],
    progress: Progress,
) -> Blend:
    """Return all channels' light, on the pixels of the first; no image is held as a whole."""
    blend = Blend(placed[0].pixels.shape)
    parts = strips(placed[0].pixels.shape)
    for number, rows in enumerate(parts):
        for one, channel, shade in zip(placed, channels, shades, strict=True):
            color = channel.color
            rgb = (color.r / 255, color.g / 255, color.b / 255)
            blend.add(rows, one.rows(rows).values(), shade, rgb)
        progress((number + 1) / len(parts))
    return blend


def _pictures(
    blend: Blend, work: Work, shades: Sequence[Levels], channels: Sequence[ColorChannel]
) -> OutputFile:
    tif = work.folder / f"{_NAME}.tif"
    write_tiff(blend.shades, tif)
    large, small = write_pair(blend.eight_bits(), work.folder, _NAME)
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
