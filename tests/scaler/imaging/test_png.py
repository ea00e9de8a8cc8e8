"""PNGs keep depth, transparency and chunks; palettes become colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scaler.domain.asks import Asks, Interpolation, RejectedError
from tests.scaler.imaging.pictures import (
    XMP,
    decoded,
    exif_block,
    picture,
    png,
    png_chunk,
    png_chunks,
    scaled,
    tag_values,
)

NEAREST = Asks(interpolation=Interpolation.NEAREST)


def png_of(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_depth_and_channels_stay(channels: int, kind: type) -> None:
    pixels = picture(channels=channels, kind=kind)
    result = scaled(png_of(pixels))
    found = cv2.imdecode(np.frombuffer(result.content, np.uint8), cv2.IMREAD_UNCHANGED)

    assert found is not None
    assert np.array_equal(found, cv2.resize(pixels, (192, 128), interpolation=cv2.INTER_LINEAR))
    assert found.dtype == kind
    assert result.format == "png"


@pytest.mark.parametrize(("bits", "row"), [(8, b"\x0a\xc8" * 20), (16, b"\x01\x02\xf3\x04" * 20)])
def test_grey_with_transparency_stays_that(bits: int, row: bytes) -> None:
    content = scaled(png((20, 300), (bits, 4), row)).content

    assert png_chunks(content)[0][1][8:10] == bytes((bits, 4))
    grey, alpha = (row[0], row[1]) if bits == 8 else (0x0102, 0xF304)
    assert (decoded(content) == [grey, grey, grey, alpha]).all()


def test_a_grey_that_is_transparent_becomes_alpha() -> None:
    content = scaled(
        png((8, 4), (8, 0), bytes([5, 5, 9, 9] * 2), png_chunk(b"tRNS", b"\x00\x05")), NEAREST
    ).content

    assert decoded(content)[0, ::2].tolist()[:4] == [[5, 5, 5, 0]] * 2 + [[9, 9, 9, 255]] * 2
    assert b"tRNS" not in dict(png_chunks(content))


def test_a_transparent_grey_of_few_bits_becomes_alpha() -> None:
    content = scaled(png((8, 4), (2, 0), b"\x1b\x1b", png_chunk(b"tRNS", b"\x00\x02")), NEAREST).content

    assert decoded(content)[0, ::2, 3].tolist() == [255, 255, 0, 255] * 2


@pytest.mark.parametrize("see_through", [False, True])
def test_a_palette_becomes_colours_and_that_is_told(*, see_through: bool) -> None:
    before = png_chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255]))
    before += png_chunk(b"tRNS", b"\x80") if see_through else b""
    result = scaled(png((8, 8), (1, 3), b"\x0f", before), NEAREST)

    red, blue = ([0, 0, 255, 128], [255, 0, 0, 255]) if see_through else ([0, 0, 255], [255, 0, 0])
    assert decoded(result.content)[0, [0, 15]].tolist() == [red, blue]
    assert result.notes == ("the palette became colours",)


def test_few_bits_become_eight_and_that_is_told() -> None:
    result = scaled(png((8, 8), (1, 0), b"\x0f"), NEAREST)

    assert decoded(result.content)[0].tolist() == [0] * 8 + [255] * 8
    assert result.notes == ("the 1-bit greys became 8-bit ones",)


def test_chunks_are_carried_with_numbers_of_pixels_corrected() -> None:
    kept = [
        (b"gAMA", b"\x00\x00\xb1\x8f"),
        (b"iCCP", b"icc\x00\x00" + bytes(70_000)),
        (b"pHYs", b"\x00\x00\x0b\x13" * 2 + b"\x01"),
        (b"tEXt", b"Author\x00somebody"),
    ]
    before = b"".join(png_chunk(*one) for one in kept) + png_chunk(b"eXIf", exif_block())
    before += png_chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + XMP) + png_chunk(b"vpAG", b"x")
    result = scaled(png((96, 64), (8, 2), bytes(288), before, png_chunk(b"tIME", bytes(7))))
    found = png_chunks(result.content)

    assert found[1:5] == kept
    assert tag_values(dict(found)[b"eXIf"])["photo", 0xA002][1] == 192
    assert b"7333.333008" in dict(found)[b"iTXt"]
    assert found[-2:] == [(b"tIME", bytes(7)), (b"IEND", b"")]
    assert b"vpAG" not in dict(found)
    assert [note for note in result.notes if "vpAG" in note]
    assert [text for kind, text in found if text.startswith(b"Comment\x00Scaled by 2 from 96x64")]


@pytest.mark.parametrize("missing", [1, 4, 12, 13, 200, 0.5])
def test_a_cut_file_is_rejected(missing: float) -> None:
    whole = png_of(picture())

    with pytest.raises(RejectedError) as error:
        scaled(whole[: -int(missing if missing >= 1 else len(whole) * missing)])

    assert error.value.code == "truncated"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_damaged_file_is_rejected(share: float) -> None:
    content = bytearray(png_of(picture()))
    content[int(len(content) * share)] ^= 0xFF

    with pytest.raises(RejectedError) as error:
        scaled(bytes(content))

    assert error.value.code == "corrupt"


def test_too_few_pixels_are_rejected_though_all_check_sums_are_right() -> None:
    short = png((20, 10), (8, 2), bytes(60))
    taller = bytearray(short)
    taller[20:24] = (11).to_bytes(4)
    taller[8:33] = png_chunk(b"IHDR", bytes(taller[16:29]))

    with pytest.raises(RejectedError) as error:
        scaled(bytes(taller))

    assert error.value.code == "corrupt"


def test_an_animation_is_rejected() -> None:
    with pytest.raises(RejectedError) as error:
        scaled(png((20, 10), (8, 2), bytes(60), png_chunk(b"acTL", bytes(8))))

    assert error.value.code == "multi-page"
