"""What a photo's metadata say about where, when and with which camera it was taken."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import exifread

from .image_header import BadImageError, read_size
from .models import Photo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Tags = dict[str, Any]

_XMP_SEARCH_BYTES: Final = 512 * 1024
_FILM_WIDTH_MM: Final = 36.0
_MM_PER_UNIT: Final[Mapping[int, float]] = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_PLAUSIBLE_RATIO: Final = (0.4, 2.2)
_SMALLEST_SENSOR_MM: Final = 4.0
_COMPACT_SENSOR_MM: Final = 6.17
"""The 1/2.3 inch sensor, by far the commonest behind lenses of 3 to 8 mm."""
_COMPACT_FOCAL_MM: Final = (3.0, 8.0)
_TYPICAL_RATIO: Final = 0.85


@dataclass(frozen=True, slots=True)
class Focal:
    """A focal length over the longer image side, and its relative standard deviation."""

    ratio: float
    sigma: float


def read_photo(path: Path, max_megapixels: float) -> Photo:
    """Return the photo in ``path`` with what its EXIF and XMP tags say, without decoding it.

    Raises:
        BadImageError: ``not_an_image``, ``truncated``, ``too_large`` or ``no_gps``.
    """
    if not path.is_file():
        raise BadImageError("not_an_image", "is not a file")
    width, height = read_size(path)
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise BadImageError("too_large", f"has {megapixels:.0f} megapixels, more than {max_megapixels:g}")
    tags = _read_tags(path)
    position = _position(tags)
    if position is None:
        raise BadImageError("no_gps", "carries no GPS position")
    xmp = _read_xmp(path)
    focal = focal_of(tags)
    return Photo(
        name=path.name,
        path=path,
        width=width,
        height=height,
        latitude_deg=position[0],
        longitude_deg=position[1],
        altitude_m=_altitude(tags),
        relative_altitude_m=_xmp_number(xmp, "RelativeAltitude"),
        yaw_deg=_first(_xmp_number(xmp, "GimbalYawDegree"), _xmp_number(xmp, "FlightYawDegree")),
        focal_ratio=focal.ratio,
        focal_sigma=focal.sigma,
        make=str(tags.get("Image Make", "")).strip("\x00 "),
        model=str(tags.get("Image Model", "")).strip("\x00 "),
        taken_at=_taken_at(tags),
    )


def focal_of(tags: Tags) -> Focal:
    """Return the focal ratio by the best tags there are: 35 mm equivalent, focal plane, or a guess."""
    film_mm = _number(tags, "EXIF FocalLengthIn35mmFilm")
    if film_mm and _plausible(film_mm / _FILM_WIDTH_MM):
        return Focal(film_mm / _FILM_WIDTH_MM, 0.003)
    focal_mm = _number(tags, "EXIF FocalLength")
    sensor_mm = _sensor_mm(tags)
    if focal_mm and sensor_mm and _plausible(focal_mm / sensor_mm):
        return Focal(focal_mm / sensor_mm, 0.01)
    if focal_mm and _COMPACT_FOCAL_MM[0] <= focal_mm <= _COMPACT_FOCAL_MM[1]:
        return Focal(focal_mm / _COMPACT_SENSOR_MM, 0.1)
    return Focal(_TYPICAL_RATIO, 0.2)


def _plausible(ratio: float) -> bool:
    return _PLAUSIBLE_RATIO[0] <= ratio <= _PLAUSIBLE_RATIO[1]


def _sensor_mm(tags: Tags) -> float | None:
    """Return the longer side of the sensor.

    The tags describe the photo as it was taken; those of a resized one contradict each other and show as
    a sensor smaller than any drone carries.
    """
    per_unit = _number(tags, "EXIF FocalPlaneXResolution")
    longer_px = max(_number(tags, "EXIF ExifImageWidth") or 0, _number(tags, "EXIF ExifImageLength") or 0)
    unit_mm = _MM_PER_UNIT.get(int(_number(tags, "EXIF FocalPlaneResolutionUnit") or 2))
    if not (per_unit and longer_px and unit_mm):
        return None
    sensor_mm = longer_px / per_unit * unit_mm
    return sensor_mm if sensor_mm >= _SMALLEST_SENSOR_MM else None


def _read_tags(path: Path) -> Tags:
    with path.open("rb") as file:
        try:
            tags: Tags = exifread.process_file(file, details=False, extract_thumbnail=False)
        except Exception:  # noqa: BLE001 - exifread raises whatever damaged tags lead it to; then there are none
            return {}
    return tags


def _numbers(tags: Tags, name: str) -> list[float]:
    tag = tags.get(name)
    values = getattr(tag, "values", [])
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, ZeroDivisionError):
        return []


def _number(tags: Tags, name: str) -> float | None:
    return next(iter(_numbers(tags, name)), None)


def _position(tags: Tags) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees; receivers without a fix write 0, 0."""
    latitude = _degrees(tags, "GPS GPSLatitude", "S")
    longitude = _degrees(tags, "GPS GPSLongitude", "W")
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None  # noqa: PLR2004


def _degrees(tags: Tags, name: str, negative: str) -> float | None:
    parts = _numbers(tags, name)
    if not parts:
        return None
    value = float(sum(part / 60**power for power, part in enumerate(parts)))
    reference = str(tags.get(name + "Ref", "")).strip("\x00 ").upper()
    return -value if reference == negative else value


def _altitude(tags: Tags) -> float | None:
    altitude = _number(tags, "GPS GPSAltitude")
    below_sea = _number(tags, "GPS GPSAltitudeRef") == 1
    return -altitude if altitude is not None and below_sea else altitude


def _taken_at(tags: Tags) -> datetime | None:
    """Return the camera's local time as if it were UTC: EXIF knows no zone, and only the order matters."""
    try:
        return datetime.strptime(str(tags["EXIF DateTimeOriginal"]), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return None


def _read_xmp(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_XMP_SEARCH_BYTES)
    start, end = head.find(b"<x:xmpmeta"), head.find(b"</x:xmpmeta>")
    return head[start:end].decode("utf-8", "replace") if 0 <= start < end else ""


def _xmp_number(xmp: str, name: str) -> float | None:
    """Read a number that DJI writes as an attribute in some cameras and as an element in others."""
    found = re.search(rf"drone-dji:{name}(?:=[\"']|>)\s*([+-]?\d+(?:\.\d+)?)", xmp)
    return float(found[1]) if found else None


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
