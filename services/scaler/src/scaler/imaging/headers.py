"""What an image is, by its first bytes and before any pixel is decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from scaler.domain.asks import Asks, Format, RejectedError

LONGEST_SIDES: Final[Mapping[Format, int]] = {
    "jpeg": 65_500,
    "png": 1 << 20,
    "tiff": 1 << 20,
    "webp": 16_383,
}
"""In pixels: what libjpeg, OpenCV and the WebP format allow."""

_MOST_PIXEL_BYTES: Final = 8
"""Of colour and alpha with 16 bits; a pixel with more takes the place of several."""

_OTHERS: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypcrx", "Canon raw"),
)
"""Images that we know and do not scale: where their mark is, the mark, and their name."""


@dataclass(frozen=True, slots=True)
class Header:
    """The size of an image as it is stored, whatever its orientation, and of a pixel."""

    format: Format
    width: int
    height: int
    channels: int
    bits: int
    """Of a channel, 8 or 16."""

    @property
    def pixel_bytes(self) -> int:
        """Return what a pixel takes in memory."""
        return self.channels * self.bits // 8

    @property
    def pixels(self) -> int:
        """Return how many there are."""
        return self.width * self.height

    def decoded_bytes(self, asks: Asks) -> int:
        """Return what the source and the scaled image take when they are in memory together."""
        width, height = asks.size(self.width, self.height)
        return (self.pixels + width * height) * self.pixel_bytes


def read_header(content: bytes) -> Header:
    """Return what the image says of itself.

    Raises:
        RejectedError: It is no image, or none that we can scale.
    """
    if not content:
        raise RejectedError("zero-bytes", "the file is empty")
    for mark, reader in _readers().items():
        if content.startswith(mark):
            header = reader(content)
            if not header.pixels:
                raise RejectedError("corrupt", "the image has no pixels")
            return header
    for at, mark, name in _OTHERS:
        if content[at : at + len(mark)] == mark:
            raise RejectedError("unsupported", f"{name} images are not scaled")
    raise RejectedError("not-an-image", "this is neither JPEG, PNG, TIFF nor WebP")


def _readers() -> Mapping[bytes, Callable[[bytes], Header]]:
    from scaler.imaging import jpeg_file, png_file, tiff_file, webp_file  # noqa: PLC0415 - they need Header

    return {
        b"\xff\xd8\xff": jpeg_file.read_header,
        b"\x89PNG\r\n\x1a\n": png_file.read_header,
        b"II*\x00": tiff_file.read_header,
        b"MM\x00*": tiff_file.read_header,
        b"II+\x00": tiff_file.read_header,
        b"MM\x00+": tiff_file.read_header,
        b"RIFF": webp_file.read_header,
    }


def check_size(header: Header, asks: Asks, *, pixels_at_most: int) -> tuple[int, int]:
    """Return width and height of the scaled image.

    Raises:
        RejectedError: It, or its source, has more pixels than are allowed, or a side too long.
    """
    if header.pixels > pixels_at_most:
        raise RejectedError(
            "too-large",
            f"the image has {header.width} x {header.height} pixels;"
            f" {pixels_at_most / 1e6:g} million are allowed",
        )
    width, height = asks.size(header.width, header.height)
    if width * height > pixels_at_most:
        raise RejectedError(
            "too-large",
            f"the scaled image would have {width} x {height} pixels;"
            f" {pixels_at_most / 1e6:g} million are allowed",
        )
    if (header.pixels + width * height) * header.pixel_bytes > 2 * pixels_at_most * _MOST_PIXEL_BYTES:
        raise RejectedError(
            "too-large", f"{header.channels} channels of {header.bits} bits are too much for so many pixels"
        )
    longest = LONGEST_SIDES[header.format]
    if max(header.width, header.height, width, height) > longest:
        raise RejectedError(
            "too-large",
            f"{header.width} x {header.height} pixels would become {width} x {height};"
            f" a side of {header.format.upper()} has {longest} at most",
        )
    return width, height
