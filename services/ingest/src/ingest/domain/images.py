"""Whether bytes can be a photograph: their first ones, their last ones, and what lies between."""

from __future__ import annotations

from ingest.domain.transfers import Rejection

JPEG_MAGIC = b"\xff\xd8\xff"
"""Start of image and the first byte of the next marker (ITU T.81, annex B)."""
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAGIC_BYTES = 16
TAIL_BYTES = 4096
_END_OF_IMAGE = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"
_PADDING = b"\0\r\n "
_START_OF_SCAN, _END, _MARKER = 0xDA, 0xD9, 0xFF
_SEGMENT_HEAD_BYTES = 4
"""Marker and length."""
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""

Reason = tuple[Rejection, str]


def why_no_image(path: str, size_bytes: int, head: bytes) -> Reason | None:
    """Return why a file that begins with ``head`` cannot be what its name says, or None if it may be."""
    if size_bytes == 0:
        return Rejection.ZERO_BYTES, "empty: 0 bytes"
    kind, magics = _magics(path)
    if not head.startswith(magics):
        begins, expected = head[:4].hex(" "), magics[0][:4].hex(" ")
        return Rejection.NOT_AN_IMAGE, f"not a {kind}: begins with {begins}, expected {expected}"
    return None


def _magics(path: str) -> tuple[str, tuple[bytes, ...]]:
    suffix = path.lower().rpartition(".")[2]
    if suffix == "png":
        return "PNG", (PNG_MAGIC,)
    if suffix in ("tif", "tiff", "dng"):
        return "TIFF", TIFF_MAGICS
    return "JPEG", (JPEG_MAGIC,)


def ends_well(path: str, tail: bytes) -> bool:
    """Return whether a file whose last bytes are ``tail`` is surely whole; if not, ``Jpeg`` knows better."""
    kind, _ = _magics(path)
    if kind == "JPEG":
        return tail.rstrip(_PADDING).endswith(_END_OF_IMAGE)
    return kind != "PNG" or _PNG_END in tail


class Jpeg:
    """Follows the segments of a JPEG as its bytes pass, and knows whether its picture ended.

    A preview inside a segment has an end of its own, and makers append data behind the picture's, so that
    neither the last bytes nor any two bytes tell.
    """

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._skipped_bytes = 2  # the start of image
        self._in_scan = False
        self.is_whole = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self.is_whole:
            return
        self._waiting += chunk
        while not self._in_scan and self._next_segment():
            pass
        if self._in_scan:
            self.is_whole = _END_OF_IMAGE in self._waiting
            del self._waiting[:-1]

    def _next_segment(self) -> bool:
        """Go behind the next segment, as far as its bytes are there."""
        skipped = min(self._skipped_bytes, len(self._waiting))
        del self._waiting[:skipped]
        self._skipped_bytes -= skipped
        if self._skipped_bytes or len(self._waiting) < _SEGMENT_HEAD_BYTES:
            return False
        fill, marker = self._waiting[0], self._waiting[1]
        if fill != _MARKER or marker in (_START_OF_SCAN, _END):  # without segments, its end is anywhere
            self._in_scan = True
        elif marker == _MARKER:
            self._skipped_bytes = 1
        elif marker in _STANDALONE:
            self._skipped_bytes = 2
        else:
            self._skipped_bytes = 2 + int.from_bytes(self._waiting[2:4], "big")
        return not self._in_scan
