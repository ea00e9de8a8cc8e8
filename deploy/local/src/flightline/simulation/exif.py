"""The metadata of a drone's photo, written byte by byte: EXIF 2.32 and DJI's XMP, in JPEG APP1 segments."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED, _BYTE = 2, 3, 4, 5, 7, 1
_EXIF_HEADER = b"Exif\x00\x00"
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"
_EXIF_POINTER, _GPS_POINTER = 0x8769, 0x8825

Tag = tuple[int, int, bytes]
"""TIFF type, count and little-endian value."""


@dataclass(frozen=True, slots=True)
class PhotoTags:
    """What a drone says about a photo."""

    width: int
    height: int
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    relative_altitude_m: float
    gimbal_yaw_deg: float
    """Clockwise from true north, -180..180."""
    gimbal_pitch_deg: float
    """-90 looks straight down."""
    flight_yaw_deg: float
    focal_mm: float
    focal_35mm: int
    taken_at: datetime
    """Aware; written as UTC."""
    make: str = "Flightline"
    model: str = "Simulated Camera"


def with_metadata(jpeg: bytes, tags: PhotoTags) -> bytes:
    """Return ``jpeg`` with its JFIF header replaced by EXIF and XMP, as cameras write them."""
    body = jpeg[2:]
    if body[:2] == b"\xff\xe0":
        body = body[2 + int.from_bytes(body[2:4], "big") :]
    exif = _segment(_EXIF_HEADER + exif_block(tags))
    return b"\xff\xd8" + exif + _segment(_XMP_HEADER + xmp_packet(tags).encode()) + body


def _segment(payload: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


def exif_block(tags: PhotoTags) -> bytes:
    """Return a little-endian TIFF block of three directories: image, EXIF, GPS."""
    image, photo, gps = _image_tags(tags), _photo_tags(tags), _gps_tags(tags)
    pointers = {_EXIF_POINTER: _long(0), _GPS_POINTER: _long(0)}
    photo_at = 8 + len(_directory(image | pointers, 8))
    gps_at = photo_at + len(_directory(photo, photo_at))
    pointers = {_EXIF_POINTER: _long(photo_at), _GPS_POINTER: _long(gps_at)}
    directories = _directory(image | pointers, 8) + _directory(photo, photo_at) + _directory(gps, gps_at)
    return b"II" + struct.pack("<HI", 42, 8) + directories


def _image_tags(tags: PhotoTags) -> dict[int, Tag]:
    return {
        0x010F: _ascii(tags.make),
        0x0110: _ascii(tags.model),
        0x0112: _short(1),
        0x0131: _ascii("flightline simulate"),
        0x0132: _ascii(f"{tags.taken_at:%Y:%m:%d %H:%M:%S}"),
    }


def _photo_tags(tags: PhotoTags) -> dict[int, Tag]:
    return {
        0x829A: _rationals(Fraction(1, 800)),
        0x829D: _rationals(Fraction(28, 10)),
        0x8827: _short(100),
        0x9000: (_UNDEFINED, 4, b"0232"),
        0x9003: _ascii(f"{tags.taken_at:%Y:%m:%d %H:%M:%S}"),
        0x9011: _ascii("+00:00"),
        0x9291: _ascii(f"{tags.taken_at.microsecond // 1000:03d}"),
        0x920A: _rationals(Fraction(round(tags.focal_mm * 1000), 1000)),
        0xA001: _short(1),
        0xA002: _long(tags.width),
        0xA003: _long(tags.height),
        0xA405: _short(tags.focal_35mm),
    }


def _gps_tags(tags: PhotoTags) -> dict[int, Tag]:
    taken = tags.taken_at
    clock = (Fraction(taken.hour), Fraction(taken.minute), Fraction(taken.second))
    return {
        0x0000: (_BYTE, 4, bytes((2, 3, 0, 0))),
        0x0001: _ascii("N" if tags.latitude_deg >= 0 else "S"),
        0x0002: _sexagesimal(tags.latitude_deg),
        0x0003: _ascii("E" if tags.longitude_deg >= 0 else "W"),
        0x0004: _sexagesimal(tags.longitude_deg),
        0x0005: (_BYTE, 1, bytes((int(tags.altitude_m < 0),))),
        0x0006: _rationals(Fraction(round(abs(tags.altitude_m) * 1000), 1000)),
        0x0007: _rationals(*clock),
        0x0012: _ascii("WGS-84"),
        0x001D: _ascii(f"{taken:%Y:%m:%d}"),
    }


def _directory(tags: Mapping[int, Tag], offset: int) -> bytes:
    """Return an image file directory at ``offset``, followed by the values too long for it."""
    entries, values = b"", b""
    values_at = offset + 2 + 12 * len(tags) + 4
    for number, (kind, count, value) in sorted(tags.items()):
        entries += struct.pack("<HHI", number, kind, count)
        if len(value) <= 4:  # noqa: PLR2004 - the size of an offset
            entries += value.ljust(4, b"\x00")
        else:
            entries += struct.pack("<I", values_at + len(values))
            values += value + b"\x00" * (len(value) % 2)
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + values


def _ascii(text: str) -> Tag:
    value = text.encode("ascii") + b"\x00"
    return _ASCII, len(value), value


def _short(number: int) -> Tag:
    return _SHORT, 1, struct.pack("<H", number)


def _long(number: int) -> Tag:
    return _LONG, 1, struct.pack("<I", number)


def _rationals(*numbers: Fraction) -> Tag:
    return _RATIONAL, len(numbers), b"".join(struct.pack("<II", *n.as_integer_ratio()) for n in numbers)


def _sexagesimal(angle_deg: float) -> Tag:
    """Return degrees, minutes and seconds; seconds to 1e-6, 0.03 mm on the ground."""
    micro_seconds = round(abs(angle_deg) * 3_600_000_000)
    degrees, rest = divmod(micro_seconds, 3_600_000_000)
    minutes, rest = divmod(rest, 60_000_000)
    return _rationals(Fraction(degrees), Fraction(minutes), Fraction(rest, 1_000_000))


def xmp_packet(tags: PhotoTags) -> str:
    """Return the XMP packet in which DJI's drones keep gimbal angles and the height above take-off."""
    values = {
        "AbsoluteAltitude": f"{tags.altitude_m:+.2f}",
        "RelativeAltitude": f"{tags.relative_altitude_m:+.2f}",
        "GimbalRollDegree": "+0.00",
        "GimbalYawDegree": f"{tags.gimbal_yaw_deg:+.2f}",
        "GimbalPitchDegree": f"{tags.gimbal_pitch_deg:+.2f}",
        "FlightRollDegree": "+0.00",
        "FlightYawDegree": f"{tags.flight_yaw_deg:+.2f}",
        "FlightPitchDegree": "+0.00",
    }
    attributes = "\n".join(f'   drone-dji:{name}="{value}"' for name, value in values.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        '  <rdf:Description rdf:about=""\n'
        '   xmlns:tiff="http://ns.adobe.com/tiff/1.0/"\n'
        '   xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"\n'
        f'   tiff:Make="{tags.make}"\n   tiff:Model="{tags.model}"\n{attributes}/>\n'
        ' </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
    )
