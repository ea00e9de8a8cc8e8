"""WebPs stay lossy or lossless, with transparency and metadata."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from scaler.domain.asks import Asks, RejectedError
from tests.scaler.imaging.pictures import XMP, decoded, exif_block, picture, scaled, tag_values


def webp(channels: int = 3, quality: int = 101) -> bytes:
    pixels = picture(channels=channels)
    if channels == 4:
        pixels[:, :, 3] |= 1
    return cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\x00" * (len(content) % 2)


def extended(simple: bytes, flags: int, before: bytes = b"", after: bytes = b"") -> bytes:
    canvas = (95).to_bytes(3, "little") + (63).to_bytes(3, "little")
    body = b"WEBP" + chunk(b"VP8X", bytes((flags, 0, 0, 0)) + canvas) + before + simple[12:] + after
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunks(content: bytes) -> dict[bytes, bytes]:
    found, at = {}, 12
    while at < len(content):
        (size,) = struct.unpack_from("<I", content, at + 4)
        found[content[at : at + 4]] = content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return found


@pytest.mark.parametrize("channels", [3, 4])
def test_a_lossless_one_stays_lossless(channels: int) -> None:
    source = webp(channels)
    result = scaled(source)
    larger = cv2.resize(decoded(source).astype(np.uint8), (192, 128))

    assert b"VP8L" in chunks(result.content)
    assert (decoded(result.content)[:, :, : larger.shape[2]] == larger).all()
    assert result.notes == ()


@pytest.mark.parametrize("channels", [3, 4])
def test_a_lossy_one_stays_lossy_and_its_quality_is_told(channels: int) -> None:
    result = scaled(webp(channels, 80))

    assert b"VP8 " in chunks(result.content)
    assert decoded(result.content).shape == (128, 192, channels)
    assert result.notes == ("a WebP does not tell its quality; it is 90 now",)


def test_the_quality_asked_for_is_used() -> None:
    small, large = (scaled(webp(3, 80), Asks(quality=quality)) for quality in (10, 95))

    assert len(small.content) * 2 < len(large.content)
    assert small.notes == ()


@pytest.mark.parametrize("channels", [3, 4])
def test_metadata_are_carried(channels: int) -> None:
    profile = bytes(70_001)
    after = chunk(b"EXIF", exif_block()) + chunk(b"XMP ", XMP) + chunk(b"abcd", b"unknown")
    source = extended(webp(channels), 0x2C | (0x10 if channels == 4 else 0), chunk(b"ICCP", profile), after)
    result = scaled(source)
    found = chunks(result.content)

    assert list(found) == [b"VP8X", b"ICCP", b"VP8L", b"EXIF", b"XMP ", b"abcd"]
    assert found[b"ICCP"] == profile
    assert tag_values(found[b"EXIF"])["photo", 0xA003][1] == 128
    assert b"7333.333008" in found[b"XMP "]
    assert len(found[b"XMP "]) == len(XMP) + 1 + 1  # 96 became 192, and 6 became 12
    assert found[b"VP8X"][0] == (0x3C if channels == 4 else 0x2C)
    assert decoded(result.content).shape == (128, 192, channels)


@pytest.mark.parametrize("missing", [1, 2, 100, 0.5])
def test_a_cut_file_is_rejected(missing: float) -> None:
    whole = webp()

    with pytest.raises(RejectedError) as error:
        scaled(whole[: -int(missing if missing >= 1 else len(whole) * missing)])

    assert error.value.code == "truncated"


def test_a_damaged_header_is_rejected() -> None:
    content = bytearray(webp(3, 80))
    content[23] ^= 0xFF

    with pytest.raises(RejectedError) as error:
        scaled(bytes(content))

    assert error.value.code == "corrupt"


def test_an_animation_is_rejected() -> None:
    with pytest.raises(RejectedError) as error:
        scaled(extended(webp(), 0x02))

    assert error.value.code == "multi-page"


def test_a_canvas_that_is_larger_than_its_picture_is_rejected() -> None:
    content = bytearray(extended(webp(), 0))
    content[24:27] = (96).to_bytes(3, "little")

    with pytest.raises(RejectedError) as error:
        scaled(bytes(content))

    assert error.value.code == "corrupt"


def test_a_side_longer_than_the_format_has_is_rejected_before_decoding() -> None:
    long = cv2.imencode(".webp", np.zeros((2, 9000, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 50])[
        1
    ].tobytes()

    with pytest.raises(RejectedError, match="16383") as error:
        scaled(long)

    assert error.value.code == "too-large"
