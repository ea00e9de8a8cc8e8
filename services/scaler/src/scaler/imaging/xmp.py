"""Numbers of an XMP packet that count pixels, corrected in place; every other byte stays as it is.

A packet is text, so that no parser is needed to change a number, and one that wrote the packet anew would
change everything else. Attributes (``a:b="1"``) and elements (``<a:b>1</a:b>``) are both found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

from scaler.imaging.job import Job

_ACROSS, _DOWN = 0, 1
_COUNTS: Final = {
    b"tiff:ImageWidth": _ACROSS,
    b"tiff:ImageLength": _DOWN,
    b"exif:PixelXDimension": _ACROSS,
    b"exif:PixelYDimension": _DOWN,
    b"drone-dji:CalibratedFocalLength": _ACROSS,
    b"drone-dji:CalibratedOpticalCenterX": _ACROSS,
    b"drone-dji:CalibratedOpticalCenterY": _DOWN,
    b"GPano:FullPanoWidthPixels": _ACROSS,
    b"GPano:FullPanoHeightPixels": _DOWN,
    b"GPano:CroppedAreaImageWidthPixels": _ACROSS,
    b"GPano:CroppedAreaImageHeightPixels": _DOWN,
    b"GPano:CroppedAreaLeftPixels": _ACROSS,
    b"GPano:CroppedAreaTopPixels": _DOWN,
}
_NUMBER: Final = rb"[+-]?\d{1,12}(?:\.\d{1,12})?"
_COUNT: Final = re.compile(
    rb"\b(" + b"|".join(_COUNTS) + rb")(\s*=\s*[\"']\s*|\s*>\s*)(" + _NUMBER + rb")(?=\s*[\"'<])"
)
_DEWARP: Final = re.compile(
    rb"\b(drone-dji:DewarpData)(\s*=\s*[\"']\s*|\s*>\s*)([^\"'<;]{0,64};)((?:" + _NUMBER + rb",){4})"
)
"""A date, then fx, fy, cx and cy in pixels, then coefficients that are free of them."""
_FREE_OF_PIXELS_NOT: Final = b"drone-dji:VignettingData"


def corrected(content: bytes, job: Job, notes: list[str]) -> bytes:
    """Return the packet with its counts of pixels multiplied."""
    growth = job.growth
    found = _COUNT.sub(_counted(growth), content)
    if _FREE_OF_PIXELS_NOT in content:
        notes.append("DJI's VignettingData are those of the original's pixels")
    return _DEWARP.sub(_dewarped(growth), found)


def _counted(growth: tuple[Fraction, Fraction]) -> Callable[[re.Match[bytes]], bytes]:
    return lambda found: found[1] + found[2] + _times(found[3], growth[_COUNTS[found[1]]])


def _dewarped(growth: tuple[Fraction, Fraction]) -> Callable[[re.Match[bytes]], bytes]:
    def multiplied(found: re.Match[bytes]) -> bytes:
        across = (growth[_ACROSS], growth[_DOWN]) * 2
        numbers = found[4].rstrip(b",").split(b",")
        scaled = [_times(number, by) for number, by in zip(numbers, across, strict=True)]
        return found[1] + found[2] + found[3] + b",".join(scaled) + b","

    return multiplied


def _times(number: bytes, by: Fraction) -> bytes:
    """Return the product with as many decimals and the same sign style as before."""
    text = number.decode("ascii")
    value = Decimal(text)
    with localcontext() as context:
        context.prec = 40
        product = (value * by.numerator / by.denominator).quantize(value)
    sign = "+" if text.startswith("+") and product >= 0 else ""
    return f"{sign}{product:f}".encode("ascii")
