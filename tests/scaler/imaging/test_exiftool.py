"""exiftool reads of a scaled drone photo what it reads of the original, but for what has to be another."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.scaler.imaging.pictures import (
    XMP,
    exif_block,
    jpeg,
    picture,
    png,
    png_chunk,
    profile,
    scaled,
    segment,
    tiff,
)
from tests.support.debian import ensure_installed

DATA = Path(os.environ.get("FLIGHTLINE_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))

OF_THE_FILE = {
    "File:Comment", "File:ImageHeight", "File:ImageWidth", "File:EncodingProcess",
    "PNG:ImageWidth", "PNG:ImageHeight", "PNG:Comment",
}  # fmt: skip
"""What tells of the pixels, and where we tell how they were made."""
ACROSS = {
    "IFD0:ImageWidth", "ExifIFD:ExifImageWidth", "ExifIFD:FocalPlaneXResolution", "XMP-tiff:ImageWidth",
    "XMP-drone-dji:CalibratedFocalLength", "XMP-drone-dji:CalibratedOpticalCenterX",
}  # fmt: skip
DOWN = {
    "IFD0:ImageHeight", "ExifIFD:ExifImageHeight", "ExifIFD:FocalPlaneYResolution",
    "XMP-drone-dji:CalibratedOpticalCenterY",
}  # fmt: skip
DOUBLED = ACROSS | DOWN
OTHERWISE = {"XMP-drone-dji:DewarpData"}


@pytest.fixture(scope="module", autouse=True)
def _exiftool() -> None:
    ensure_installed("exiftool", "libimage-exiftool-perl")


def tags(path: Path) -> dict[str, Any]:
    """Return every tag, binary ones too, with the group that it is in; warnings are tags."""
    words = ["exiftool", "-j", "-G1", "-a", "-u", "-U", "-n", "-b", "-ee", str(path)]
    found = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    (document,) = json.loads(found)
    moving = ("System:", "ExifTool:ExifToolVersion", "Composite:", "SourceFile")
    return {name: value for name, value in document.items() if not name.startswith(moving)}


def compared(content: bytes, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tags of a photo, and of the same scaled."""
    path.write_bytes(content)
    before = tags(path)
    path.write_bytes(scaled(content, turbo=True).content)
    return before, tags(path)


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Yield the names of tags that are another and should not be."""
    for name in sorted({*before, *after} - OF_THE_FILE - OTHERWISE):
        was, now = before.get(name), after.get(name)
        if name in DOUBLED:
            assert was is not None
            assert now is not None
            if Fraction(now) != pytest.approx(2 * Fraction(was), rel=1e-9):
                yield f"{name}: {was} became {now}"
        elif was != now:
            yield f"{name}: {was!r} became {now!r}"


def drone_photo(path: Path, order: str) -> bytes:
    """Return a photo with what DJI's cameras write, and a profile and words that exiftool itself put in."""
    colours = profile(80_000)
    parts = [colours[at : at + 65_000] for at in range(0, len(colours), 65_000)]
    head = segment(0xE1, b"Exif\x00\x00" + exif_block(order))
    head += segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + XMP)
    for number, part in enumerate(parts, 1):
        head += segment(0xE2, b"ICC_PROFILE\x00" + bytes((number, len(parts))) + part)
    path.write_bytes(jpeg(picture(), head=head))
    words = ["-IPTC:Keywords=field 7", "-GPSLongitude=-93.25", "-GPSLongitudeRef=W", "-GPSAltitude=200.5"]
    words += ["-DJI:SpeedX=1.5", "-EXIF:UserComment=none", "-JFIF:XResolution=300", "-Comment=of the camera"]
    subprocess.run(["exiftool", "-q", "-m", "-overwrite_original", *words, str(path)], check=True)
    return path.read_bytes()


@pytest.mark.parametrize("order", "<>")
def test_a_drone_photo_compares_equal_but_for_what_is_corrected(tmp_path: Path, order: str) -> None:
    path = tmp_path / "DJI_0001.JPG"
    before, after = compared(drone_photo(path, order), path)

    assert list(differences(before, after)) == []
    assert {name.split(":")[0] for name in before} >= {
        "IFD0", "ExifIFD", "GPS", "IFD1", "DJI", "XMP-drone-dji", "XMP-tiff", "IPTC", "ICC-header",
    }  # fmt: skip
    assert set(before) >= DOUBLED
    assert "ExifTool:Warning" not in after


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_other_formats_compare_equal_too(tmp_path: Path, suffix: str) -> None:
    contents = {
        "png": png((96, 64), (8, 2), bytes(288), png_chunk(b"eXIf", exif_block())),
        "tif": tiff(picture()),
    }
    path = tmp_path / f"photo.{suffix}"
    path.write_bytes(contents[suffix])
    words = ["-GPSLatitude=47.5", "-GPSLatitudeRef=N", "-EXIF:UserComment=none", "-XMP:Creator=somebody"]
    words += ["-EXIF:FocalPlaneXResolution=3748", "-EXIF:ExifImageWidth=96", "-Software=a camera"]
    subprocess.run(["exiftool", "-q", "-m", "-overwrite_original", *words, str(path)], check=True)

    before, after = compared(path.read_bytes(), path)
    moved = {"IFD0:StripOffsets", "IFD0:StripByteCounts", "IFD0:RowsPerStrip", "PNG:Interlace"}
    found = [one for one in differences(before, after) if one.split(": ")[0] not in moved]

    assert found == []
    assert before["GPS:GPSLatitude"] == after["GPS:GPSLatitude"] == 47.5


@pytest.mark.parametrize("folder", ["brighton-small", "seneca-small"])
def test_real_drone_photos_compare_equal_but_for_what_is_corrected(tmp_path: Path, folder: str) -> None:
    photos = sorted(path for path in DATA.glob(f"{folder}/*") if path.suffix.lower() == ".jpg")[:1]
    if not photos:
        pytest.skip(f"the photos of {folder} are not given")
    for photo in photos:
        before, after = compared(photo.read_bytes(), tmp_path / photo.name)

        assert list(differences(before, after)) == []
        assert len(before) > 20
