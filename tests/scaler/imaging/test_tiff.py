"""TIFFs keep the numbers that OpenCV would change, and where they are on the ground."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest

from scaler.domain.asks import Asks, Interpolation, RejectedError
from scaler.imaging.tiff_file import TiffFile, read_tiff
from scaler.imaging.tiff_pixels import decoded as read_pixels
from tests.scaler.imaging.pictures import (
    XMP,
    Order,
    Pixels,
    directory,
    doubles,
    picture,
    rationals,
    scaled,
    shorts,
    tiff,
)

NEAREST = Asks(interpolation=Interpolation.NEAREST)
Parts = tuple[TiffFile, Pixels]


def read(content: bytes) -> Parts:
    file = read_tiff(content)
    return file, read_pixels(content, file)


def fractions(file: TiffFile, tag: int) -> tuple[float, ...]:
    return file.directory[tag].numbers(file.order)


def deflated(strip: bytes) -> bytes:
    return tiff(picture(), packed=[strip], tags={259: shorts("<", 8)})


def rejected(content: bytes) -> str:
    with pytest.raises(RejectedError) as error:
        scaled(content)
    return error.value.code


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("channels", "photometric", "extra"),
    [(1, 1, ()), (1, 0, ()), (2, 1, (2,)), (3, 2, ()), (4, 2, (2,)), (4, 2, (1,)), (6, 2, (0, 0, 0))],
)
def test_numbers_stay_with_every_channel_depth_and_byte_order(
    channels: int, photometric: int, extra: tuple[int, ...], kind: Any, order: Order
) -> None:
    pixels = picture(48, 32, channels, kind).reshape(32, 48, channels)
    tags = {338: shorts(order, *extra)} if extra else {}
    file, found = read(scaled(tiff(pixels, photometric, order, tags=tags), NEAREST).content)

    assert (found == np.repeat(np.repeat(pixels, 2, 0), 2, 1)).all()
    assert found.dtype == kind
    assert (file.order, file.number(262, -1), file.numbers(338)) == (order, photometric, extra)


def test_planes_apart_are_read_and_written_together() -> None:
    pixels = picture(48, 32, 3, np.uint16)
    file, found = read(scaled(tiff(pixels, planar=True), NEAREST).content)

    assert (found[::2, ::2] == pixels).all()
    assert file.number(284, 0) == 1


@pytest.mark.parametrize("name", ["none", "lzw", "packbits", "deflate", "tiles", "differences"])
@pytest.mark.parametrize(("width", "height"), [(48, 32), (47, 31), (1, 1), (1500, 401)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_way_of_packing_is_read(name: str, channels: int, width: int, height: int) -> None:
    pixels = picture(width, height, channels)
    pixels = pixels.reshape(height, width, channels)
    result = scaled(packed(name, pixels), NEAREST)
    file, found = read(result.content)

    assert (found[::2, ::2] == pixels).all()
    assert file.number(259, 0) == {"none": 1, "tiles": 1}.get(name, 8)
    assert len(result.notes) == (name in ("lzw", "packbits"))


def packed(name: str, pixels: Pixels) -> bytes:
    match name:
        case "none":
            return tiff(pixels, 2 if pixels.shape[2] == 3 else 1)
        case "deflate":
            return tiff(
                pixels,
                2 if pixels.shape[2] == 3 else 1,
                ">",
                packed=[zlib.compress(pixels.tobytes())],
                tags={259: shorts(">", 8)},
            )
        case "differences":
            steps = np.concatenate([pixels[:, :1], pixels[:, 1:] - pixels[:, :-1]], axis=1)
            tags = {259: shorts("<", 32946), 317: shorts("<", 2)}
            return tiff(
                pixels, 2 if pixels.shape[2] == 3 else 1, packed=[zlib.compress(steps.tobytes())], tags=tags
            )
        case "tiles":
            return tiled(pixels)
        case _:
            number = {"lzw": 5, "packbits": 32773}[name]
            return cv2.imencode(".tiff", pixels[:, :, ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, number])[
                1
            ].tobytes()


def tiled(pixels: Pixels) -> bytes:
    """Return a TIFF of tiles of 64 x 32 pixels."""
    height, width, channels = pixels.shape
    padded = np.pad(pixels, ((0, -height % 32), (0, -width % 64), (0, 0)))
    tiles = [
        padded[top : top + 32, left : left + 64].tobytes()
        for top in range(0, height, 32)
        for left in range(0, width, 64)
    ]
    count, size = len(tiles), len(tiles[0])
    offsets = struct.pack(f"<{count}I", *(8 + size * index for index in range(count)))
    tags = {
        322: shorts("<", 64),
        323: shorts("<", 32),
        324: (4, count, offsets),
        325: (4, count, struct.pack(f"<{count}I", *[size] * count)),
    }
    return tiff(pixels, 2 if channels == 3 else 1, packed=tiles, tags=tags)


def test_where_it_lies_on_the_ground_stays_true() -> None:
    tags = {
        33550: doubles("<", 0.5, 0.25, 0.0),
        33922: doubles("<", 10.0, 20.0, 0.0, 424000.0, 5188000.0, 0.0),
        34735: shorts("<", 1, 1, 0, 1, 1025, 0, 1, 1),
        42113: (2, 2, b"0\x00"),
    }
    result = scaled(tiff(picture(), tags=tags))
    file, _ = read(result.content)

    assert fractions(file, 33550) == (0.25, 0.125, 0.0)
    assert fractions(file, 33922) == (20.0, 40.0, 0.0, 424000.0, 5188000.0, 0.0)
    assert file.directory[34735].content == tags[34735][2]
    assert result.notes == ("at the edge of what has no data, its value is mixed with pixels",)


@pytest.mark.parametrize("raster", [1, 2])
def test_a_matrix_gives_the_same_place_for_the_same_spot(raster: int) -> None:
    keys = {34735: shorts("<", 1, 1, 0, 1, 1025, 0, 1, raster)}
    matrix = [0.5, 0.1, 0, 424000, 0.2, -0.5, 0, 5188000, *[0] * 7, 1]
    before = np.array(matrix).reshape(4, 4)
    file, _ = read(scaled(tiff(picture(), tags=keys | {34264: doubles("<", *matrix)})).content)
    after = np.array(fractions(file, 34264)).reshape(4, 4)
    shift = 0.5 if raster == 2 else 0.0

    corner, spot = np.array([-shift, -shift, 0, 1]), np.array([30 - shift, 40 - shift, 0, 1])
    doubled = np.array([60 - shift, 80 - shift, 0, 1])
    assert after @ corner == pytest.approx(before @ corner)
    assert after @ doubled == pytest.approx(before @ spot)


def test_a_tie_to_the_centre_of_a_pixel_stays_on_its_spot() -> None:
    tags = {33922: doubles("<", 0, 0, 0, 1, 2, 3), 34735: shorts("<", 1, 1, 0, 1, 1025, 0, 1, 2)}
    file, _ = read(scaled(tiff(picture(), tags=tags)).content)

    assert fractions(file, 33922) == (0.5, 0.5, 0, 1, 2, 3)


@pytest.mark.parametrize("order", "<>")
def test_metadata_are_carried(order: Order) -> None:
    plain = tiff(picture(), 2, order)
    photo = {
        0x927C: (7, 40, bytes(range(40))),
        0xA002: shorts(order, 96),
        0xA20E: rationals(order, 3039615, 811),
    }
    gps = {1: (2, 2, b"N\x00"), 2: rationals(order, 47, 1, 25, 1, 301234, 10000)}
    photo_at = len(plain) + 1000
    gps_at = photo_at + len(directory(order, photo, photo_at))
    pointers = {34665: photo_at, 34853: gps_at}
    tags = {tag: (4, 1, struct.pack(order + "I", at)) for tag, at in pointers.items()}
    tags |= {34675: (7, 70_000, bytes(70_000)), 700: (1, len(XMP), XMP), 274: shorts(order, 6)}
    tags |= {282: rationals(order, 300, 1), 305: (2, 4, b"abc\x00"), 330: (4, 1, bytes(4))}
    whole = tiff(picture(), 2, order, tags=tags)
    shift = len(whole) - photo_at
    tags |= {tag: (4, 1, struct.pack(order + "I", at + shift)) for tag, at in pointers.items()}
    content = tiff(picture(), 2, order, tags=tags)
    content += directory(order, photo, len(content))
    content += directory(order, gps, len(content))

    result = scaled(content)
    file = read_tiff(result.content)

    assert file.inner[34853][2].content == gps[2][2]
    assert file.inner[34665][0x927C].content == bytes(range(40))
    assert file.inner[34665][0xA002].numbers(order) == (192,)
    assert struct.unpack(order + "II", file.inner[34665][0xA20E].content) == (6079230, 811)
    for tag in (34675, 274, 282, 305):
        assert file.directory[tag].content == tags[tag][2]
    assert b"7333.333008" in file.directory[700].content
    assert len(result.notes) == 2


def test_a_file_without_a_word_on_software_tells_how_it_was_made() -> None:
    file = read_tiff(scaled(tiff(picture())).content)

    assert file.directory[305].content.startswith(b"Scaled by 2 from 96x64 to 192x128 (linear)")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (tiff(picture(), behind=8), "multi-page"),
        (b"II+\x00" + bytes(100), "unsupported"),
        (tiff(picture(), 5), "unsupported"),
        (tiff(picture(channels=1), 3), "unsupported"),
        (tiff(picture(), tags={258: shorts("<", 12, 12, 12)}), "unsupported"),
        (tiff(picture(), tags={258: shorts("<", 8, 8, 16)}), "unsupported"),
        (tiff(picture(), tags={339: shorts("<", 3, 3, 3)}), "unsupported"),
        (tiff(picture(), tags={259: shorts("<", 7)}), "unsupported"),
        (tiff(picture(), tags={266: shorts("<", 2)}), "unsupported"),
        (tiff(picture(channels=1), 2), "corrupt"),
        (tiff(picture(), tags={278: shorts("<", 10)}), "corrupt"),
        (tiff(picture(), tags={279: shorts("<", 20)}), "corrupt"),
        (tiff(picture(), tags={257: shorts("<", 0)}), "corrupt"),
        (tiff(picture(), tags={257: doubles("<", float("nan"))}), "corrupt"),
        (tiff(picture(), tags={273: doubles("<", 8.0)}), "corrupt"),
        (tiff(picture(), tags={278: rationals("<", 1, 0)}), "corrupt"),
        (deflated(zlib.compress(picture().tobytes())[:-1]), "corrupt"),
        (deflated(zlib.compress(picture().tobytes()[1:])), "corrupt"),
        (tiff(picture())[:-1], "truncated"),
        (tiff(picture())[:3000], "truncated"),
        (b"II*\x00" + bytes(2), "truncated"),
        (b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", "corrupt"),
    ],
)
def test_what_cannot_be_scaled_is_told(content: bytes, code: str) -> None:
    assert rejected(content) == code


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_deflated_pixels_that_are_damaged_are_rejected(share: float) -> None:
    content = bytearray(packed("deflate", picture()))
    content[int(len(content) * share)] ^= 0xFF

    assert rejected(bytes(content)) == "corrupt"


@pytest.mark.parametrize("name", ["lzw", "packbits"])
def test_packed_pixels_that_end_early_are_rejected(name: str) -> None:
    file = read_tiff(packed(name, picture()))
    sizes = list(file.numbers(279))
    sizes[-1] //= 2
    content = packed(name, picture())
    wanted = struct.pack(f"<{len(sizes)}I", *sizes)
    was = struct.pack(f"<{len(sizes)}I", *file.numbers(279))
    if content.count(was) != 1:
        was, wanted = (struct.pack(f"<{len(sizes)}H", *part) for part in (file.numbers(279), sizes))
    assert content.count(was) == 1

    assert rejected(content.replace(was, wanted)) == "corrupt"
