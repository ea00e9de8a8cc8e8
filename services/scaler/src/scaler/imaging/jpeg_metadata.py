"""The segments that a scaled JPEG has of its source: byte for byte, but for numbers that count pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from scaler.domain.asks import Interpolation
from scaler.imaging import exif, xmp
from scaler.imaging.job import Job
from scaler.imaging.jpeg_file import (
    APP1,
    APP2,
    APP11,
    APP14,
    COM,
    MOST_PAYLOAD_BYTES,
    JpegFile,
    Segment,
)

_EXIF: Final = b"Exif\x00\x00"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\x00"
_TRANSFORM_AT: Final = 11
_YCC: Final = 1

_LEFT_OUT: Final[tuple[tuple[int, bytes, str], ...]] = (
    (APP2, b"MPF\x00", "the list of further pictures behind the photo (MPF)"),
    (APP2, b"urn:iso:std:iso:ts:21496:-1\x00", "the description of an HDR gain map"),
    (APP11, b"", "HDR layers or content credentials, which hold for the original's pixels only"),
)


def carried(file: JpegFile, job: Job, kernel: Interpolation, notes: list[str]) -> bytes:
    """Return the segments for behind SOI, and add to ``notes`` what is left out or was not understood."""
    kept = [done for one in file.segments if (done := _kept(one, file, job, notes)) is not None]
    kept.append(Segment(COM, job.provenance(kernel).encode()))
    if file.trailing_bytes:
        notes.append(
            f"left out: {file.trailing_bytes} bytes behind the photo, such as further pictures or a gain map"
        )
    return b"".join(one.whole() for one in kept)


def _kept(segment: Segment, file: JpegFile, job: Job, notes: list[str]) -> Segment | None:
    for marker, start, what in _LEFT_OUT:
        if segment.marker == marker and segment.payload.startswith(start):
            notes.append(f"left out: {what}")
            return None
    if segment.marker == APP14 and not _still_holds(segment, file):
        notes.append("the colours were not stored as YCbCr and are now")
        return None
    if segment.marker == APP1:
        return _corrected(segment, job, notes)
    return segment


def _still_holds(segment: Segment, file: JpegFile) -> bool:
    """Return whether Adobe's mark for the coding of colours is true of what we write."""
    payload = segment.payload
    if not payload.startswith(b"Adobe") or len(payload) <= _TRANSFORM_AT or len(file.components) == 1:
        return True
    return payload[_TRANSFORM_AT] == _YCC


def _corrected(segment: Segment, job: Job, notes: list[str]) -> Segment:
    corrections: Mapping[bytes, Callable[[bytes, Job, list[str]], bytes]] = {
        _EXIF: exif.corrected,
        _XMP: xmp.corrected,
    }
    for start, correct in corrections.items():
        if segment.payload.startswith(start):
            payload = start + correct(segment.payload[len(start) :], job, notes)
            if len(payload) <= MOST_PAYLOAD_BYTES:
                return Segment(segment.marker, payload)
            notes.append("the XMP has no room for the scaled numbers; it is as it was")
    return segment
