"""A folder with images, and what operations may use there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from datalab.operations.operation import FileRef, OperationError, OutputFile


@dataclass
class FolderWork:
    """Work on the files of a folder."""

    files: Path
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    told: list[float] = field(default_factory=list)

    def path(self, ref: FileRef) -> Path:
        """Return a file of the folder."""
        path = self.files / ref.basename
        if not path.exists():
            raise OperationError(f"{ref.basename} is not there")
        return path

    def progress(self, done: float) -> None:
        """Keep what was told."""
        self.told.append(done)

    def add(
        self,
        name: str,
        pixels: NDArray[Any],
        mask: NDArray[np.bool_] | None = None,
        compression: str | None = None,
        **cards: Any,
    ) -> FileRef:
        """Write an image there."""
        header = fits.Header(cards)
        image = (
            fits.CompImageHDU(pixels, header, name="SCI", compression_type=compression)
            if compression
            else fits.ImageHDU(pixels, header, name="SCI")
        )
        parts = [fits.PrimaryHDU(), image]
        if mask is not None:
            parts.append(fits.ImageHDU(mask.astype(np.uint8), name="BPM"))
        fits.HDUList(parts).writeto(self.files / name)
        return FileRef(basename=name)

    def add_all(self, kind: str, images: Sequence[NDArray[Any]], **cards: Any) -> tuple[FileRef, ...]:
        """Write several images there."""
        return tuple(self.add(f"{kind}-{index}.fits", image, **cards) for index, image in enumerate(images))


def pixels_of(output: OutputFile) -> NDArray[Any]:
    """Return the image of a result, by astropy; its pictures must be there, too."""
    assert output.fits is not None
    assert output.large_jpg is not None
    assert output.small_jpg is not None
    assert output.large_jpg.read_bytes()[:2] == output.small_jpg.read_bytes()[:2] == b"\xff\xd8"
    with fits.open(output.fits) as units:
        return np.array(units["SCI"].data, np.float32)


def header_of(output: OutputFile) -> fits.Header:
    """Return the header of the image of a result."""
    assert output.fits is not None
    return fits.getheader(output.fits, "SCI")
