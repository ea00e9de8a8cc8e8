"""Colours made no larger than they are stored give the pixels of three channels, but for rounding."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import simplejpeg

from scaler.domain.asks import Asks, Interpolation
from scaler.imaging import planes
from scaler.imaging.jpeg_file import SOI, head_bytes
from tests.scaler.imaging.pictures import decoded, jpeg, photo, picture, scaled

CV2 = {
    Interpolation.LINEAR: cv2.INTER_LINEAR,
    Interpolation.CUBIC: cv2.INTER_CUBIC,
    Interpolation.LANCZOS4: cv2.INTER_LANCZOS4,
    Interpolation.NEAREST: cv2.INTER_NEAREST,
    Interpolation.AREA: cv2.INTER_AREA,
}
ROUNDING = 0.8
"""Of 255 levels, in the mean."""


def by_channels(source: bytes, size: tuple[int, int], kernel: Interpolation, subsampling: str) -> bytes:
    """Return what resizing blue, green and red gives, without metadata."""
    larger = cv2.resize(simplejpeg.decode_jpeg(source, "BGR"), size, interpolation=CV2[kernel])
    return bytes(simplejpeg.encode_jpeg(larger, 95, "BGR", subsampling))


@pytest.mark.parametrize("kernel", list(Interpolation))
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440"])
@pytest.mark.parametrize(("factor", "size"), [(1, (480, 360)), (1.5, (720, 540)), (2, (960, 720))])
def test_pixels_are_those_of_three_channels(
    factor: float, size: tuple[int, int], subsampling: str, kernel: Interpolation
) -> None:
    source = jpeg(photo(480, 360), 95, subsampling)

    found = decoded(scaled(source, Asks(factor, kernel)).content)

    assert np.abs(found - decoded(by_channels(source, size, kernel, subsampling))).mean() <= ROUNDING


def test_another_subsampling_goes_the_same_way() -> None:
    source = jpeg(photo(480, 360), 95, "444")

    found = decoded(scaled(source, Asks(subsampling="420")).content)

    wanted = decoded(by_channels(source, (960, 720), Interpolation.LINEAR, "420"))
    assert np.abs(found - wanted).mean() <= ROUNDING


@pytest.mark.parametrize("asks", [Asks(1.51), Asks(0.75)])
def test_what_would_move_colours_goes_by_channels(asks: Asks) -> None:
    source = jpeg(picture(98, 64), 95, "420")
    size = asks.size(98, 64)
    assert not planes.fit(size, asks.factor, "420")

    found = scaled(source, asks).content

    wanted = by_channels(source, size, Interpolation.LINEAR, "420")
    assert SOI + found[head_bytes(found) :] == SOI + wanted[head_bytes(wanted) :]
