"""What an operation that makes an image leaves: the FITS file and its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from astropy.io.fits import Header

from datalab.fits.writer import Compression, write_frame
from datalab.kernels.tiles import Rows
from datalab.operations.operation import OutputFile, Work
from datalab.pictures import preview


def image_result(
    work: Work,
    name: str,
    pixels: Rows,
    header: Header,
    *,
    inputs: Sequence[str],
    operation: str,
    version: int = 1,
    parameters: Mapping[str, Any] | None = None,
    comment: str = "",
    facts: Mapping[str, Any] | None = None,
) -> OutputFile:
    """Write an image and its pictures into the folder of the work.

    Args:
        work: Whose ``settings`` may have ``fits_compression`` and ``computation_key``.
        name: Of the files, without ending.
        pixels: Rows and columns, the lowest row first.
        header: Of the first input.
        inputs: Names of what it was made of.
        operation: Name of what made it.
        version: Of the operation.
        parameters: What that was asked for besides, as JSON.
        comment: What is said of it to users.
        facts: Further fields of the output.
    """
    path = work.folder / f"{name}.fits"
    write_frame(
        path,
        pixels,
        header,
        inputs=inputs,
        operation=operation,
        parameters=parameters or {},
        version=version,
        key=work.settings.get("computation_key", ""),
        compression=cast("Compression", work.settings.get("fits_compression", "gzip")),
    )
    large, small = preview(pixels, work.folder, name)
    return OutputFile(fits=path, large_jpg=large, small_jpg=small, comment=comment, facts=facts or {})
