"""What is asked of the scaler for one image, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final, Literal, get_args

from shared.errors import InvalidInputError, PermanentError

FACTORS: Final = (0.1, 8.0)
"""Least and greatest."""

Format = Literal["jpeg", "png", "tiff", "webp"]
Subsampling = Literal["444", "422", "420", "440", "411"]
"""How much less colour than brightness a JPEG keeps, in the notation of video engineers."""

_SUFFIXES: Final[Mapping[Format, tuple[str, ...]]] = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
}
IMAGE_SUFFIXES: Final = frozenset(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)
MEDIA_TYPES: Final[Mapping[Format, str]] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "webp": "image/webp",
}


class Interpolation(StrEnum):
    """How new pixels are made of old ones; speeds and qualities stand in docs/decisions/0017."""

    LINEAR = "linear"
    CUBIC = "cubic"
    LANCZOS4 = "lanczos4"
    AREA = "area"
    NEAREST = "nearest"


@dataclass(frozen=True, slots=True)
class Asks:
    """How an image shall be scaled.

    Raises:
        InvalidInputError: A value is out of its range.
    """

    factor: float = 2.0
    interpolation: Interpolation = Interpolation.LINEAR
    quality: int | None = None
    """Of JPEG and lossy WebP, 1 to 100; None: a JPEG keeps that of its source, a WebP gets 90."""
    subsampling: Subsampling | None = None
    """Of JPEG; None: that of the source."""

    def __post_init__(self) -> None:
        least, greatest = FACTORS
        if not least <= self.factor <= greatest:
            raise InvalidInputError(
                f"the factor {self.factor:g} is not within {least:g} and {greatest:g}",
                field="factor",
                value=self.factor,
            )
        if self.quality is not None and not 1 <= self.quality <= 100:  # noqa: PLR2004 - the scale of libjpeg
            raise InvalidInputError(
                f"the quality {self.quality} is not within 1 and 100", field="quality", value=self.quality
            )
        if self.subsampling is not None and self.subsampling not in get_args(Subsampling):
            raise InvalidInputError(
                f"the subsampling {self.subsampling} is none of {', '.join(get_args(Subsampling))}",
                field="subsampling",
                value=self.subsampling,
            )

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the scaled image; sides are rounded, and have a pixel at least."""
        return max(1, round(width * self.factor)), max(1, round(height * self.factor))


@dataclass(frozen=True, slots=True)
class Scaled:
    """A scaled image.

    The same source, asks and machine give the same bytes; another version of a codec may give others.
    """

    content: bytes
    width: int
    height: int
    format: Format
    sha256: str
    """Of ``content``, in hexadecimal digits."""
    notes: tuple[str, ...] = ()
    """What of the source is not in it, or is there in another form; sentences for people."""


class RejectedError(PermanentError):
    """The image cannot be scaled, now or later; nothing of it is lost, for nothing was written.

    Codes: ``zero-bytes``, ``not-an-image``, ``truncated``, ``corrupt``, ``too-large``, ``multi-page``,
    ``unsupported``, ``crashed-the-decoder``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def named_as(name: str, image_format: Format) -> str:
    """Return a name whose suffix tells the format; one that does already is returned as it is."""
    path = PurePosixPath(name)
    suffixes = _SUFFIXES[image_format]
    if path.suffix.lower() in suffixes:
        return name
    stem = name[: -len(path.suffix)] if path.suffix.lower() in IMAGE_SUFFIXES else name
    return stem + suffixes[0]
