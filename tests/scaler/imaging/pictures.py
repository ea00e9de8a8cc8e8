"""Images to scale, with metadata as cameras write them."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Literal

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from scaler.domain.asks import Asks, Scaled
from scaler.imaging import scale_image

LIMIT = 50_000_000
Pixels = NDArray[Any]
Order = Literal["<", ">"]


def scaled(content: bytes, asks: Asks | None = None, *, turbo: bool = False) -> Scaled:
    """Scale twice as large, the default way."""
    return scale_image(content, asks or Asks(), pixels_at_most=LIMIT, turbo=turbo)


def decoded(content: bytes) -> Pixels:
    """Return pixels as they are stored."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels.astype(int)


def picture(width: int = 96, height: int = 64, channels: int = 3, kind: Any = np.uint8) -> Pixels:
    """Return something with hills, edges and grain, as photos have."""
    noise = np.random.default_rng(width * height)
    hills = cv2.resize(noise.random((6, 8, channels)), (width, height), interpolation=cv2.INTER_CUBIC)
    hills = np.asarray(hills, float).reshape(height, width, channels)
    shade = hills[height // 3 : height // 2, width // 4 : width // 2]
    shade[:] = 0.4 * shade
    grain = noise.normal(0, 0.02, hills.shape)
    top = np.iinfo(kind).max
    pixels = (np.clip(hills + grain, 0, 1) * top).astype(kind)
    return pixels[:, :, 0] if channels == 1 else pixels


def photo(width: int, height: int) -> Pixels:
    """Return a picture that is not more colourful than photos are."""
    colourful = picture(width, height).astype(float)
    grey = colourful.mean(axis=2, keepdims=True)
    pixels: Pixels = np.clip(grey + 0.25 * (colourful - grey), 0, 255).astype(np.uint8)
    return pixels


def jpeg(
    pixels: Pixels | None = None, quality: int = 90, subsampling: str = "420", head: bytes | None = None
) -> bytes:
    """Return a JPEG; ``head`` takes the place of its JFIF segment."""
    pixels = picture() if pixels is None else pixels
    if pixels.ndim == 2:
        encoded = simplejpeg.encode_jpeg(pixels[:, :, None], quality, "GRAY", "Gray")
    else:
        encoded = simplejpeg.encode_jpeg(pixels, quality, "BGR", subsampling)
    content = bytes(encoded)
    if head is None:
        return content
    return content[:2] + head + content[4 + int.from_bytes(content[4:6]) :]


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def segments_of(content: bytes) -> list[tuple[int, bytes]]:
    """Return marker and payload of what stands before the first table."""
    found, at = [], 2
    while content[at + 1] >= 0xE0:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
        found.append((content[at + 1], content[at + 4 : end]))
        at = end
    return found


Tag = tuple[int, int, bytes]
"""Type, count, value."""


def exif_block(order: str = "<", width: int = 96, height: int = 64) -> bytes:
    """Return what a camera writes: image, photo and GPS directories, a maker's note, and a thumbnail."""
    block = bytearray((b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", 8))
    photo = {
        0x829A: rationals(order, 1, 800),
        0x927C: makers_note(order),
        0xA002: (4, 1, struct.pack(order + "I", width)),
        0xA003: (3, 1, struct.pack(order + "H", height)),
        0xA20E: rationals(order, 3039615, 811),
        0xA20F: rationals(order, 3039615, 811),
        0xA210: (3, 1, struct.pack(order + "H", 3)),
        0x920A: rationals(order, 88, 10),
    }
    gps = {1: (2, 2, b"N\x00"), 2: rationals(order, 47, 1, 25, 1, 301234, 10000)}
    image = {
        0x0100: (4, 1, struct.pack(order + "I", width)),
        0x0101: (4, 1, struct.pack(order + "I", height)),
        0x010F: (2, 4, b"DJI\x00"),
        0x0112: (3, 1, struct.pack(order + "H", 6)),
        0x8769: (4, 1, b"\x00" * 4),
        0x8825: (4, 1, b"\x00" * 4),
    }
    thumbnail = jpeg(picture(16, 12))
    photo_at = 8 + len(directory(order, image, 8))
    gps_at = photo_at + len(directory(order, photo, photo_at))
    small_at = gps_at + len(directory(order, gps, gps_at))
    small = {0x0100: (3, 1, struct.pack(order + "H", 16)), 0x0103: (3, 1, struct.pack(order + "H", 6))}
    small |= {0x0202: (4, 1, struct.pack(order + "I", len(thumbnail))), 0x0201: (4, 1, b"\x00" * 4)}
    thumbnail_at = small_at + len(directory(order, small, small_at))
    small[0x0201] = (4, 1, struct.pack(order + "I", thumbnail_at))
    image[0x8769] = (4, 1, struct.pack(order + "I", photo_at))
    image[0x8825] = (4, 1, struct.pack(order + "I", gps_at))
    block += directory(order, image, 8, small_at) + directory(order, photo, photo_at)
    block += directory(order, gps, gps_at) + directory(order, small, small_at) + thumbnail
    return bytes(block)


def makers_note(order: str) -> Tag:
    """Return DJI's: a directory of speeds and angles."""
    angles = {number: (11, 1, struct.pack(order + "f", number / 4)) for number in range(3, 9)}
    note = directory(order, angles, 0)
    return 7, len(note), note


def profile(more_bytes: int) -> bytes:
    """Return a colour profile with a private tag of so many bytes."""
    texts = b"text\x00\x00\x00\x00flightline\x00\x00"
    private = b"data\x00\x00\x00\x00" + bytes(range(256)) * (more_bytes // 256)
    at = 128 + 4 + 2 * 12
    tags = struct.pack(">I4sII4sII", 2, b"cprt", at, len(texts), b"abcd", at + len(texts), len(private))
    size = at + len(texts) + len(private)
    head = struct.pack(">I4sI4s4s4s12x4s", size, b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return head.ljust(128, b"\x00") + tags + texts + private


def rationals(order: str, *numbers: int) -> Tag:
    return 5, len(numbers) // 2, struct.pack(f"{order}{len(numbers)}I", *numbers)


def directory(order: str, tags: dict[int, Tag], at: int, following: int = 0) -> bytes:
    """Return a TIFF directory at an offset, and the values too long for it behind."""
    entries, values = struct.pack(order + "H", len(tags)), b""
    values_at = at + 2 + 12 * len(tags) + 4
    for number, (kind, count, value) in sorted(tags.items()):
        entries += struct.pack(order + "HHI", number, kind, count)
        if len(value) <= 4:
            entries += value.ljust(4, b"\x00")
        else:
            entries += struct.pack(order + "I", values_at + len(values))
            values += value + b"\x00" * (len(value) % 2)
    return entries + struct.pack(order + "I", following) + values


def tag_values(block: bytes) -> dict[tuple[str, int], tuple[int, Any]]:
    """Return the numeric tags of image, photo and thumbnail directories, and where their values are."""
    order = "<" if block[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", block, 4)
    found: dict[tuple[str, int], tuple[int, Any]] = {}
    places = [("image", first)]
    for name, at in places:
        (count,) = struct.unpack_from(order + "H", block, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            number, kind, _ = struct.unpack_from(order + "HHI", block, entry)
            if kind in (3, 4):
                (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), block, entry + 8)
                found[name, number] = (entry + 8, value)
                if number == 0x8769:
                    places.append(("photo", value))
            elif kind == 5:
                (where,) = struct.unpack_from(order + "I", block, entry + 8)
                found[name, number] = (where, struct.unpack_from(order + "II", block, where))
        if name == "image":
            places.append(("thumbnail", struct.unpack_from(order + "I", block, at + 2 + 12 * count)[0]))
    return found


XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
  xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
  drone-dji:AbsoluteAltitude="+161.53" drone-dji:GimbalYawDegree="+107.40"
  drone-dji:CalibratedFocalLength="3666.666504"
  drone-dji:CalibratedOpticalCenterX="2736.000000"
  drone-dji:DewarpData="2018-09-21;3658.5,3657.25,-11.9,6,-0.265,0.111,0.0003,-0.0001,-0.04">
 <drone-dji:CalibratedOpticalCenterY>1824.000000</drone-dji:CalibratedOpticalCenterY>
 <tiff:ImageWidth>96</tiff:ImageWidth>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    size: tuple[int, int], kind: tuple[int, int], row: bytes, before: bytes = b"", after: bytes = b""
) -> bytes:
    """Return a PNG of equal rows; ``kind`` is bits and colour type."""
    head = struct.pack(">IIBBBBB", *size, *kind, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress((b"\x00" + row) * size[1], 9))
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head)
    return start + before + pixels + after + png_chunk(b"IEND", b"")


def png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def tiff(pixels: Pixels, photometric: int = 2, order: Order = "<", **extra: Any) -> bytes:
    """Return a TIFF of one strip a plane.

    Args:
        pixels: Rows, columns, channels.
        photometric: What its numbers mean.
        order: ``<`` or ``>``.
        extra: ``tags`` to add or to replace, ``packed`` strips in place of plain ones, ``planar``, and
            ``behind``, what the directory says is the next one.
    """
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    height, width, channels = pixels.shape
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    planes = np.moveaxis(stored, 2, 0) if extra.get("planar") else [stored]
    strips = extra.get("packed") or [plane.tobytes() for plane in planes]
    offsets = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    tags: dict[int, Tag] = {
        256: (4, 1, struct.pack(order + "I", width)),
        257: (4, 1, struct.pack(order + "I", height)),
        258: shorts(order, *[8 * pixels.dtype.itemsize] * channels),
        259: shorts(order, 1),
        262: shorts(order, photometric),
        273: (4, len(strips), struct.pack(f"{order}{len(strips)}I", *offsets)),
        277: shorts(order, channels),
        278: (4, 1, struct.pack(order + "I", height)),
        279: (4, len(strips), struct.pack(f"{order}{len(strips)}I", *map(len, strips))),
        284: shorts(order, 2 if extra.get("planar") else 1),
    } | extra.get("tags", {})
    at = 8 + sum(map(len, strips))
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", at)
    return head + b"".join(strips) + directory(order, tags, at, extra.get("behind", 0))


def shorts(order: str, *numbers: int) -> Tag:
    return 3, len(numbers), struct.pack(f"{order}{len(numbers)}H", *numbers)


def doubles(order: str, *numbers: float) -> Tag:
    return 12, len(numbers), struct.pack(f"{order}{len(numbers)}d", *numbers)
