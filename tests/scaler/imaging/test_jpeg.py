"""JPEGs keep their size times the factor, their quality and their subsampling; damage is never decoded."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import simplejpeg

from scaler.domain.asks import Asks, Interpolation, RejectedError
from scaler.imaging import turbo
from scaler.imaging.jpeg_file import read_jpeg
from scaler.imaging.jpeg_quality import quality_of
from tests.scaler.imaging.pictures import decoded, jpeg, picture, scaled, segment, segments_of

WAYS = [False, pytest.param(True, marks=pytest.mark.skipif(not turbo.is_there(), reason="no libturbojpeg"))]


@pytest.mark.parametrize("turbo_path", WAYS)
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
def test_quality_and_subsampling_stay(subsampling: str, *, turbo_path: bool) -> None:
    for quality in (1, 37, 50, 75, 92, 100):
        file = read_jpeg(scaled(jpeg(quality=quality, subsampling=subsampling), turbo=turbo_path).content)

        assert (file.width, file.height, file.subsampling) == (192, 128, subsampling)
        assert quality_of(file) == quality


def test_what_is_asked_for_wins_over_the_source() -> None:
    asks = Asks(quality=60, subsampling="444")

    file = read_jpeg(scaled(jpeg(quality=95, subsampling="420"), asks, turbo=True).content)

    assert (quality_of(file), file.subsampling) == (60, "444")


def test_tables_of_a_camera_of_its_own_are_not_made_coarser() -> None:
    content = bytearray(jpeg(quality=93))
    at = content.index(b"\xff\xdb") + 5
    content[at : at + 64] = bytes(max(1, entry - 1) for entry in content[at : at + 64])

    file = read_jpeg(bytes(content))
    found = quality_of(file)

    assert 93 < found < 98
    assert sum(map(sum, read_jpeg(jpeg(quality=found)).tables.values())) <= sum(
        map(sum, file.tables.values())
    )


@pytest.mark.parametrize("turbo_path", WAYS)
@pytest.mark.parametrize(
    ("factor", "size"), [(2, (192, 128)), (0.1, (10, 6)), (1, (96, 64)), (1.37, (132, 88)), (8, (768, 512))]
)
def test_any_factor(factor: float, size: tuple[int, int], *, turbo_path: bool) -> None:
    result = scaled(jpeg(), Asks(factor), turbo=turbo_path)

    assert (result.width, result.height, result.format) == (*size, "jpeg")
    assert simplejpeg.decode_jpeg(result.content).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("kernel", list(Interpolation))
def test_pixels_are_those_of_the_kernel(kernel: Interpolation) -> None:
    source = jpeg(quality=100, subsampling="444")
    names = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos4": cv2.INTER_LANCZOS4}
    names |= {"area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST}
    wanted = cv2.resize(simplejpeg.decode_jpeg(source, "BGR"), (192, 128), interpolation=names[kernel])

    found = decoded(scaled(source, Asks(interpolation=kernel)).content)

    assert np.abs(found - wanted).mean() < 1


def test_a_small_picture_shows_the_mean_of_a_fine_grid_and_no_moire() -> None:
    grid = np.zeros((200, 300, 3), np.uint8)
    grid[::2] = 255

    found = decoded(scaled(jpeg(grid, 100, "444"), Asks(0.1)).content)

    assert np.ptp(found) < 8
    assert found.mean() == pytest.approx(127.5, abs=3)


@pytest.mark.parametrize("turbo_path", WAYS)
def test_grey_stays_grey(*, turbo_path: bool) -> None:
    result = scaled(jpeg(picture(channels=1)), turbo=turbo_path)

    assert decoded(result.content).shape == (128, 192)
    assert len(read_jpeg(result.content).components) == 1


@pytest.mark.parametrize("turbo_path", WAYS)
@pytest.mark.parametrize(
    "option", [cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_RST_INTERVAL, cv2.IMWRITE_JPEG_OPTIMIZE]
)
def test_other_kinds_of_coding_are_read(option: int, *, turbo_path: bool) -> None:
    plain, other = (cv2.imencode(".jpg", picture(), [option, value])[1].tobytes() for value in (0, 2))

    same = scaled(plain, turbo=turbo_path)

    assert plain != other
    assert (decoded(scaled(other, turbo=turbo_path).content) == decoded(same.content)).all()


def test_colours_stored_as_red_green_and_blue_are_right() -> None:
    adobe = segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x00")
    pixels = picture()
    blue, green, red = (np.ascontiguousarray(plane) for plane in np.moveaxis(pixels, 2, 0))
    encoded = bytes(simplejpeg.encode_jpeg_yuv_planes(red, green, blue, 98))
    content = encoded[:2] + adobe + encoded[20:]

    result = scaled(content, turbo=True)

    larger = cv2.resize(pixels, (192, 128))
    assert np.abs(decoded(result.content) - larger).mean() < 4
    assert 0xEE not in [marker for marker, _ in segments_of(result.content)]
    assert "the colours were not stored as YCbCr and are now" in result.notes


def test_nothing_is_turned() -> None:
    result = scaled(jpeg(head=segment(0xE1, b"Exif\x00\x00" + _orientation(6))))

    assert (result.width, result.height) == (192, 128)
    assert _orientation(6) in result.content


def _orientation(number: int) -> bytes:
    return (
        b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"
        + bytes((number, 0, 0))
        + b"\x00" * 4
    )


@pytest.mark.parametrize("turbo_path", WAYS)
@pytest.mark.parametrize("missing", [1, 2, 3, 100, 0.5, 0.95])
def test_a_cut_file_is_rejected(missing: float, *, turbo_path: bool) -> None:
    whole = jpeg(picture(300, 200))
    cut = whole[: -int(missing if missing >= 1 else missing * len(whole))]

    with pytest.raises(RejectedError) as error:
        scaled(cut, turbo=turbo_path)

    assert error.value.code == "truncated"


@pytest.mark.parametrize("turbo_path", WAYS)
def test_what_only_looks_whole_is_rejected(*, turbo_path: bool) -> None:
    whole = jpeg(picture(300, 200))

    with pytest.raises(RejectedError) as error:
        scaled(whole[: len(whole) // 2] + b"\xff\xd9", turbo=turbo_path)

    assert error.value.code in ("truncated", "corrupt")


@pytest.mark.parametrize("turbo_path", WAYS)
def test_damage_in_the_middle_is_rejected_that_opencv_lets_pass(*, turbo_path: bool) -> None:
    content = bytearray(jpeg(picture(1200, 900)))
    at = len(content) // 2
    content[at : at + 2000] = bytes(2000)
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None

    with pytest.raises(RejectedError) as error:
        scaled(bytes(content), turbo=turbo_path)

    assert error.value.code == "corrupt"


@pytest.mark.parametrize(
    ("marker", "told"),
    [(0xC3, "lossless"), (0xC9, "arithmetically"), (0xCA, "arithmetically"), (0xC5, "hierarchical")],
)
def test_kinds_without_a_decoder_are_told_by_name(marker: int, told: str) -> None:
    content = bytearray(jpeg())
    content[content.index(b"\xff\xc0") + 1] = marker

    with pytest.raises(RejectedError, match=told) as error:
        scaled(bytes(content))

    assert error.value.code == "unsupported"


def test_twelve_bits_are_told() -> None:
    content = bytearray(jpeg())
    content[content.index(b"\xff\xc0") + 4] = 12

    with pytest.raises(RejectedError, match="12 bits") as error:
        scaled(bytes(content))

    assert error.value.code == "unsupported"


def test_inks_are_told() -> None:
    inks = np.dstack([picture(), picture(channels=1)])
    content = bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(inks), 90, "CMYK", "444"))

    with pytest.raises(RejectedError, match="CMYK") as error:
        scaled(content)

    assert error.value.code == "unsupported"


def test_further_pictures_behind_the_photo_are_left_out_and_told() -> None:
    head = segment(0xE2, b"MPF\x00" + bytes(60)) + segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\x00\x00")
    gain_map = jpeg(picture(16, 16))
    result = scaled(jpeg(head=head) + gain_map)

    assert b"MPF\x00" not in result.content
    assert result.content.count(b"\xff\xd8\xff") == 1
    assert [note.split(" (")[0] for note in result.notes] == [
        "left out: the list of further pictures behind the photo",
        "left out: the description of an HDR gain map",
        f"left out: {len(gain_map)} bytes behind the photo, such as further pictures or a gain map",
    ]


def test_the_same_source_gives_the_same_bytes() -> None:
    assert scaled(jpeg()).content == scaled(jpeg()).content
