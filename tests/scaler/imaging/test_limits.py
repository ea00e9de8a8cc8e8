"""What an image is is read from its first bytes, and nothing is decoded that is too large or none of ours."""

from __future__ import annotations

import resource
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.domain.asks import Asks, RejectedError, named_as
from scaler.imaging import read_header, scale_image
from shared.errors import InvalidInputError
from tests.scaler.imaging.pictures import (
    LIMIT,
    XMP,
    directory,
    doubles,
    exif_block,
    jpeg,
    picture,
    png,
    png_chunk,
    rationals,
    scaled,
    segment,
    shorts,
    tiff,
)


def mapped() -> bytes:
    """Return a TIFF that knows where it lies, and has a directory of the camera's."""
    tags = {33550: doubles("<", 1, 1, 0), 33922: doubles("<", 0, 0, 0, 1, 2, 3), 700: (1, len(XMP), XMP)}
    tags |= {34735: shorts("<", 1, 1, 0, 1, 1025, 0, 1, 2), 34665: (4, 1, bytes(4))}
    size = len(tiff(picture(20, 10), tags=tags))
    tags[34665] = (4, 1, struct.pack("<I", size))
    camera = {0xA002: shorts("<", 20), 0xA20E: rationals("<", 3, 1), 0xA20F: rationals("<", 3, 1)}
    return tiff(picture(20, 10), tags=tags) + directory("<", camera, size)


CODES = {"truncated", "corrupt", "unsupported", "too-large", "multi-page", "zero-bytes", "not-an-image"}
STARTS = {
    "jpeg": jpeg(head=segment(0xE1, b"Exif\x00\x00" + exif_block())),
    "png": png((20, 10), (8, 2), bytes(60), png_chunk(b"eXIf", exif_block())),
    "tiff": mapped(),
    "webp": cv2.imencode(".webp", picture(20, 10), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes(),
}


def code_of(content: bytes, asks: Asks | None = None, limit: int = LIMIT) -> str:
    with pytest.raises(RejectedError) as error:
        scale_image(content, asks or Asks(), pixels_at_most=limit)
    assert str(error.value)
    return error.value.code


def test_an_empty_file() -> None:
    assert code_of(b"") == "zero-bytes"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"These are not the bytes you are looking for.", "not-an-image"),
        (b"\x00", "not-an-image"),
        (bytes(10_000), "not-an-image"),
        (b"RIFF\x04\x00\x00\x00WAVE", "not-an-image"),
        (b"GIF89a" + bytes(100), "unsupported"),
        (b"\x00\x00\x00\x1cftypheic" + bytes(100), "unsupported"),
        (b"\x00\x00\x00\x1cftypmif1" + bytes(100), "unsupported"),
        (b"\x00\x00\x00\x1cftypavif" + bytes(100), "unsupported"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(100), "unsupported"),
        (b"\xff\x0a" + bytes(100), "unsupported"),
        (b"\xff\xd8\xff", "truncated"),
        (jpeg()[: jpeg().index(b"\xff\xda")] + b"\xff\xda\x00\x02", "truncated"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"II*\x00", "truncated"),
        (b"RIFF\xff\xff\x00\x00WEBP", "truncated"),
    ],
)
def test_what_is_no_image_of_ours(content: bytes, code: str) -> None:
    assert code_of(content) == code


def bomb() -> bytes:
    """Return 30,000 x 30,000 black pixels in 110 kB."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0))
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(bytes(3751 * 1000)) for _ in range(30)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def test_a_small_file_of_many_pixels_is_not_decoded() -> None:
    content = bomb()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert len(content) < 200_000
    assert code_of(content, limit=400_000_000) == "too-large"
    assert code_of(content, Asks(0.1), limit=400_000_000) == "too-large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_a_lie_about_the_size_is_found_by_the_decoder() -> None:
    content = bytearray(jpeg())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", 6000, 6000)

    assert code_of(bytes(content), Asks(0.5)) in ("corrupt", "truncated")


@pytest.mark.parametrize("factor", [2.0, 8.0])
def test_the_scaled_image_is_limited_too(factor: float) -> None:
    source = png((1000, 1000), (8, 0), bytes(1000))

    assert code_of(source, Asks(factor), limit=3_999_999) == "too-large"


def test_pixels_of_many_channels_count_for_several() -> None:
    wide = tiff(np.zeros((100, 100, 40), np.uint16), tags={338: shorts("<", *[0] * 37)})

    assert code_of(wide, limit=40_000) == "too-large"
    assert scale_image(wide, Asks(), pixels_at_most=300_000).width == 200


def test_many_tiny_tiles_take_no_memory() -> None:
    tags = {256: shorts("<", 20_000), 257: shorts("<", 20_000), 322: shorts("<", 1), 323: shorts("<", 1)}
    tags |= {324: shorts("<", 8), 325: shorts("<", 1)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert code_of(tiff(picture(8, 8), tags=tags), Asks(0.5), limit=400_000_000) == "corrupt"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 3_000_000,
        b"\xff\xd8" + b"\xff" * 12_000_000,
        b"RIFF" + struct.pack("<I", 12_000_004) + b"WEBP" + b"abcd\x00\x00\x00\x00" * 1_500_000,
        b"II*\x00\x08\x00\x00\x00\x00\x10"
        + struct.pack("<HHII", 258, 1, 4_000_000, 8) * 4096
        + bytes(5_000_000),
    ],
    ids=["segments", "fill bytes", "chunks", "values on each other"],
)
def test_a_header_without_end_is_not_read_to_its_end(content: bytes) -> None:
    assert code_of(content) == "corrupt"


def test_a_side_longer_than_jpeg_allows_is_told_before_decoding() -> None:
    long = cv2.imencode(".jpg", np.zeros((2, 33_000, 3), np.uint8))[1].tobytes()

    assert code_of(long) == "too-large"


def test_the_content_decides_and_not_a_name() -> None:
    result = scaled(STARTS["png"])

    assert result.format == "png"
    assert named_as("photo.jpg", result.format) == "photo.png"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.jpg", "a.jpg"),
        ("a.JPEG", "a.JPEG"),
        ("a.png", "a.jpg"),
        ("a", "a.jpg"),
        ("a.b.c", "a.b.c.jpg"),
        (".png", ".png.jpg"),
    ],
)
def test_a_name_gets_the_suffix_of_its_content(name: str, told: str) -> None:
    assert named_as(name, "jpeg") == told


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"factor": 0.09}, "factor"),
        ({"factor": 8.1}, "factor"),
        ({"factor": float("nan")}, "factor"),
        ({"quality": 0}, "quality"),
        ({"quality": 101}, "quality"),
        ({"subsampling": "421"}, "subsampling"),
    ],
)
def test_asks_out_of_range_are_refused_by_name(values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        Asks(**values)  # type: ignore[arg-type]

    assert error.value.field == field


@pytest.mark.parametrize("kind", list(STARTS))
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_no_file_whatever_does_anything_but_scale_or_be_rejected(kind: str, data: st.DataObject) -> None:
    content = bytearray(STARTS[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(2, len(content) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + len(patch)] = patch
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])

    for one in (bytes(content), cut):
        assert outcome(one) in {"scaled", *CODES}


def outcome(content: bytes) -> str:
    """Return the code of the rejection, or ``scaled`` if the image has the size that its header promises."""
    try:
        header = read_header(content)
        result = scale_image(content, Asks(1.5), pixels_at_most=100_000)
    except RejectedError as error:
        return error.code
    return "scaled" if (result.width, result.height) == Asks(1.5).size(header.width, header.height) else "?"
