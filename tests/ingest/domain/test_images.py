from __future__ import annotations

import cv2
import numpy as np
import pytest

from ingest.domain.images import TAIL_BYTES, Jpeg, ends_well, why_no_image
from ingest.domain.transfers import Rejection


def picture(suffix: str = ".jpg", *, progressive: bool = False) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if progressive else []
    return bytes(cv2.imencode(suffix, noise, options)[1])


def with_preview(jpeg: bytes, preview: bytes) -> bytes:
    """Put a whole smaller JPEG into a segment at the beginning, as cameras do."""
    return jpeg[:2] + b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview + jpeg[2:]


def is_whole(content: bytes, chunk_bytes: int = 7) -> bool:
    jpeg = Jpeg()
    for start in range(0, len(content), chunk_bytes):
        jpeg.feed(content[start : start + chunk_bytes])
    return jpeg.is_whole


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 1000, 1 << 20])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_whole_picture_is_whole_however_it_comes(chunk_bytes: int, *, progressive: bool) -> None:
    content = with_preview(picture(progressive=progressive), picture())

    assert is_whole(content, chunk_bytes)
    assert ends_well("a.jpg", content[-TAIL_BYTES:])


@pytest.mark.parametrize("cut_bytes", [1, 2, 100, 2000])
def test_the_end_of_a_preview_is_not_the_end_of_the_picture(cut_bytes: int) -> None:
    content = with_preview(picture(), picture())[:-cut_bytes]

    assert not is_whole(content)
    assert not ends_well("a.jpg", content[-TAIL_BYTES:])


def test_what_makers_append_does_not_matter() -> None:
    content = picture() + b"thermal data" * 1000

    assert not ends_well("a.jpg", content[-TAIL_BYTES:])
    assert is_whole(content)


def test_zeros_behind_the_end_do_not_matter() -> None:
    assert ends_well("a.jpg", (picture() + bytes(1000))[-TAIL_BYTES:])


def test_a_file_without_segments_ends_at_any_end() -> None:
    assert is_whole(b"\xff\xd8\xff\xe0\x00\x02 nothing \xff\xd9 more")
    assert not is_whole(b"\xff\xd8\xff\xe0\x00\x02 nothing")


@pytest.mark.parametrize(
    ("path", "content"),
    [("a.PNG", picture(".png")), ("a.tif", picture(".tif")), ("a.jpeg", picture())],
)
def test_each_kind_of_image_is_known_by_its_first_and_last_bytes(path: str, content: bytes) -> None:
    assert why_no_image(path, len(content), content[:16]) is None
    assert ends_well(path, content[-TAIL_BYTES:])


def test_a_png_without_its_end_is_found_out() -> None:
    assert not ends_well("a.png", picture(".png")[:-9])


@pytest.mark.parametrize(
    ("path", "head", "why"),
    [
        ("a.jpg", b"\x89PNG\r\n\x1a\n", Rejection.NOT_AN_IMAGE),
        ("a.png", b"\xff\xd8\xff", Rejection.NOT_AN_IMAGE),
        ("a.dng", b"hello", Rejection.NOT_AN_IMAGE),
    ],
)
def test_a_name_that_lies_is_found_out(path: str, head: bytes, why: Rejection) -> None:
    found = why_no_image(path, 99, head)

    assert found is not None
    assert found[0] is why
