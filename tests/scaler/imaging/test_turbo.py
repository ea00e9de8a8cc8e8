"""The way through libturbojpeg gives the same pixels but for rounding, and is as strict."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

from scaler.domain.asks import Asks, Interpolation
from scaler.imaging import read_header, turbo
from scaler.imaging.job import Job
from scaler.imaging.jpeg_file import read_jpeg
from tests.scaler.imaging.pictures import decoded, jpeg, photo, picture, scaled
from tests.support.debian import ensure_installed

ROUNDING = 0.8
"""Of 255 levels, in the mean."""


@pytest.fixture(scope="module", autouse=True)
def _library() -> None:
    if sys.platform == "linux" and not turbo.is_there():
        ensure_installed("/usr/lib/libturbojpeg.so.0", "libturbojpeg0")
        turbo.forget()
    assert turbo.is_there()


def serves(content: bytes, asks: Asks) -> bool:
    header = read_header(content)
    job = Job(content, header, asks, asks.size(header.width, header.height))
    return turbo.serves(job, read_jpeg(content))


@pytest.mark.parametrize("kernel", [Interpolation.LINEAR, Interpolation.CUBIC, Interpolation.LANCZOS4])
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440"])
@pytest.mark.parametrize("factor", [1.5, 2])
def test_pixels_are_the_same_but_for_rounding(factor: float, subsampling: str, kernel: Interpolation) -> None:
    source = jpeg(photo(320, 240), 95, subsampling)
    asks = Asks(factor, kernel)

    found, wanted = (decoded(scaled(source, asks, turbo=way).content) for way in (True, False))

    assert serves(source, asks)
    assert np.abs(found - wanted).mean() <= ROUNDING


def test_what_would_move_colours_goes_the_default_way() -> None:
    assert serves(jpeg(picture(96, 64)), Asks())
    assert not serves(jpeg(picture(95, 64)), Asks())
    assert not serves(jpeg(picture(96, 63)), Asks())
    assert not serves(jpeg(picture(96, 64)), Asks(1.51))
    assert not serves(jpeg(picture(96, 64)), Asks(0.5))
    assert serves(jpeg(picture(95, 63), subsampling="444"), Asks())
    assert not serves(jpeg(picture(96, 64)), Asks(subsampling="444"))
    assert not serves(jpeg(picture(96, 64, 1)), Asks())


def test_a_library_that_only_warns_of_damage_is_not_used() -> None:
    from turbojpeg import TurboJPEG  # noqa: PLC0415 - an extra

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")

        assert not turbo._is_strict(TurboJPEG())
    assert turbo._is_strict(turbo._library())


def test_without_the_library_images_go_the_default_way() -> None:
    words = """
import subprocess
import sys
import warnings
sys.modules["turbojpeg"] = None
from scaler.domain.asks import Asks
from scaler.imaging import scale_image, turbo
scaled = scale_image(sys.stdin.buffer.read(), Asks(), pixels_at_most=10**6, turbo=True)
print(turbo.is_there(), scaled.sha256)
"""
    found = subprocess.run([sys.executable, "-c", words], input=jpeg(), capture_output=True, check=True)

    assert found.stdout.decode() == f"False {scaled(jpeg(), turbo=False).sha256}\n"
