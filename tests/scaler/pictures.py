"""Small photographs, each other than the next."""

from __future__ import annotations

import struct

import numpy as np
import simplejpeg

WIDTH, HEIGHT = 48, 32
TAKEN = b"2025:07:01 12:13:14"


def jpeg(seed: int, *, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Return a JPEG with an Exif block that says when it was taken and where the camera was held."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    pixels = np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1))
    encoded: bytes = simplejpeg.encode_jpeg(pixels, quality=90)
    return encoded[:2] + _exif() + encoded[2:]


def size_of(content: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG that decodes without a fault."""
    height, width, _ = simplejpeg.decode_jpeg(content, strict=True).shape
    return width, height


def exif_of(content: bytes) -> bytes:
    """Return the Exif block of a JPEG."""
    start = content.index(b"Exif\0\0")
    return content[start : start + struct.unpack(">H", content[start - 2 : start])[0] - 2]


def _exif() -> bytes:
    directory = struct.pack("<HHHII", 1, 0x0132, 2, len(TAKEN) + 1, 26) + struct.pack("<I", 0)
    block = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + directory + TAKEN + b"\0"
    return b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
