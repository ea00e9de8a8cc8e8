"""The segments of a JPEG file (ITU T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scaler.domain.asks import RejectedError, Subsampling
from scaler.imaging.headers import Header

SOI: Final = b"\xff\xd8"
APP0, APP1, APP2, APP11, APP14, APP15, COM = 0xE0, 0xE1, 0xE2, 0xEB, 0xEE, 0xEF, 0xFE
MOST_PAYLOAD_BYTES: Final = 65_533

_SOF_OURS: Final = frozenset({0xC0, 0xC1, 0xC2})
_SOF_NAMES: Final = {
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical",
    0xC9: "arithmetically coded",
    0xCA: "arithmetically coded",
    0xCB: "lossless",
    0xCD: "hierarchical",
    0xCE: "hierarchical",
    0xCF: "hierarchical",
}
_SOS, _DQT, _EOI = 0xDA, 0xDB, 0xD9
_NO_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_MOST_MARKERS: Final = 20_000
"""Before the first scan: a service that looks for the size must not look for long."""
_MARKER_WITHIN_SCANS: Final = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
"""After 0xFF, entropy-coded data have 0x00 or a restart mark."""
_GREY, _COLOUR, _CMYK = 1, 3, 4
_TRANSFORM_AT: Final = 11

_SUBSAMPLINGS: Final[dict[tuple[int, int], Subsampling]] = {
    (1, 1): "444",
    (2, 1): "422",
    (2, 2): "420",
    (1, 2): "440",
    (4, 1): "411",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker and what belongs to it."""

    marker: int
    payload: bytes

    def whole(self) -> bytes:
        """Return it as it stands in a file."""
        return bytes((0xFF, self.marker)) + (len(self.payload) + 2).to_bytes(2) + self.payload


@dataclass(frozen=True, slots=True)
class Component:
    """A plane of a frame: how often it is sampled, and by which table it is quantised."""

    identifier: int
    across: int
    down: int
    table: int


@dataclass(slots=True)
class JpegFile:
    """What stands before the first scan, and how the file goes on after its image."""

    width: int = 0
    height: int = 0
    components: tuple[Component, ...] = ()
    is_progressive: bool = False
    segments: list[Segment] = field(default_factory=list)
    """APPn and COM, in their order."""
    tables: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Quantisation tables, in zigzag order."""
    head_bytes: int = 2
    """Up to the first marker that is neither SOI, APPn nor COM."""
    trailing_bytes: int = 0
    """Behind the end of the image."""

    @property
    def subsampling(self) -> Subsampling | None:
        """Return how colour is sampled; None: there is none, or in a way that no encoder of ours has."""
        if len(self.components) != _COLOUR:
            return None
        luma, *chroma = self.components
        ratios = {(luma.across / one.across, luma.down / one.down) for one in chroma}
        (across, down), *others = ratios
        return None if others else _SUBSAMPLINGS.get((int(across), int(down)))

    @property
    def is_rgb(self) -> bool:
        """Return whether its planes are red, green and blue, by the rules of libjpeg."""
        if len(self.components) != _COLOUR:
            return False
        starts = [one.payload[:5] for one in self.segments if one.marker == APP0]
        adobe = [one.payload for one in self.segments if one.marker == APP14 and one.payload[:5] == b"Adobe"]
        if b"JFIF\x00" in starts:
            return False
        if adobe and len(adobe[-1]) > _TRANSFORM_AT:
            return adobe[-1][_TRANSFORM_AT] == 0
        return bytes(one.identifier for one in self.components) == b"RGB"


def read_header(content: bytes) -> Header:
    """Return size and kind, by what stands before the first scan."""
    file = _head(content, metadata=False)
    return Header("jpeg", file.width, file.height, len(file.components), 8)


def read_jpeg(content: bytes) -> JpegFile:
    """Return the file's segments, once all of them are seen to be there.

    Raises:
        RejectedError: ``truncated``, ``corrupt``, or ``unsupported`` for a kind we have no decoder for.
    """
    file = _head(content)
    file.trailing_bytes = len(content) - _end(content, file)
    return file


def head_bytes(content: bytes) -> int:
    """Return where the image itself begins, behind SOI and the encoder's own APPn segments."""
    return _head(content).head_bytes


def _head(content: bytes, *, metadata: bool = True) -> JpegFile:
    file = JpegFile()
    for marker, start, end in _markers(content, 2):
        if marker == _SOS:
            if not file.components:
                raise RejectedError("corrupt", "the JPEG has a scan before its frame")
            return file
        is_application = _is_application(marker)
        if metadata or not is_application:
            _take(file, marker, content[start:end])
        if is_application and not file.tables and not file.components:
            file.head_bytes = end
    raise RejectedError("truncated", "the JPEG ends before its first scan")


def _is_application(marker: int) -> bool:
    return APP0 <= marker <= APP15 or marker == COM


def _take(file: JpegFile, marker: int, payload: bytes) -> None:
    if _is_application(marker):
        file.segments.append(Segment(marker, payload))
    elif marker == _DQT:
        file.tables |= dict(_tables(payload))
    elif marker in _SOF_NAMES:
        raise RejectedError("unsupported", f"{_SOF_NAMES[marker]} JPEGs are not scaled")
    elif marker in _SOF_OURS:
        _take_frame(file, marker, payload)
    elif marker in (0xD8, _EOI):
        raise RejectedError("corrupt", "the JPEG has no image before its end")


def _take_frame(file: JpegFile, marker: int, payload: bytes) -> None:
    if file.components:
        raise RejectedError("corrupt", "the JPEG has two frames")
    if len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:  # noqa: PLR2004 - T.81, table B.2
        raise RejectedError("corrupt", "the JPEG's frame header is damaged")
    if payload[0] != 8:  # noqa: PLR2004 - bits
        raise RejectedError("unsupported", f"JPEGs with {payload[0]} bits a channel are not scaled")
    file.height, file.width = int.from_bytes(payload[1:3]), int.from_bytes(payload[3:5])
    file.is_progressive = marker == 0xC2  # noqa: PLR2004 - SOF2
    entries = [payload[at : at + 3] for at in range(6, len(payload), 3)]
    file.components = tuple(Component(one[0], one[1] >> 4, one[1] & 15, one[2]) for one in entries)
    _check_frame(file)


def _check_frame(file: JpegFile) -> None:
    if not file.height:
        raise RejectedError("unsupported", "the JPEG tells its height only behind its pixels")
    if not file.width:
        raise RejectedError("corrupt", "the JPEG has no pixels")
    if len(file.components) == _CMYK:
        raise RejectedError(
            "unsupported", "CMYK JPEGs are not scaled: their inks would need a colour profile"
        )
    if len(file.components) not in (_GREY, _COLOUR):
        raise RejectedError("unsupported", f"JPEGs of {len(file.components)} channels are not scaled")
    if not all(1 <= one.across <= 4 and 1 <= one.down <= 4 for one in file.components):  # noqa: PLR2004 - T.81
        raise RejectedError("corrupt", "the JPEG's sampling factors are impossible")


def _tables(payload: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    at = 0
    while at < len(payload):
        width, number = (payload[at] >> 4) + 1, payload[at] & 15
        entries = payload[at + 1 : at + 1 + 64 * width]
        if len(entries) < 64 * width or width > 2:  # noqa: PLR2004 - T.81, B.2.4.1
            raise RejectedError("corrupt", "the JPEG's quantisation tables are damaged")
        yield number, tuple(int.from_bytes(entries[i : i + width]) for i in range(0, 64 * width, width))
        at += 1 + 64 * width


def _markers(content: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield each marker, and where its payload begins and ends."""
    for _ in range(_MOST_MARKERS):
        if at + 4 > len(content):
            raise RejectedError("truncated", "the JPEG ends within its header")
        if content[at] != 0xFF:  # noqa: PLR2004 - the byte that starts every marker
            raise RejectedError("corrupt", f"the JPEG has no marker at byte {at}, where one must be")
        marker = content[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
            continue
        length = 0 if marker in _NO_LENGTH else int.from_bytes(content[at + 2 : at + 4])
        if length < 2 and marker not in _NO_LENGTH:  # noqa: PLR2004 - the length counts itself
            raise RejectedError("corrupt", f"the JPEG's segment at byte {at} is damaged")
        end = at + 2 + length
        if end > len(content):
            raise RejectedError("truncated", "the JPEG ends within its header")
        yield marker, min(at + 4, end), end
        at = end
    raise RejectedError("corrupt", "the JPEG's header has no end")


def _end(content: bytes, file: JpegFile) -> int:
    """Return where the image ends, having gone through all of its scans."""
    start, at = next(where for marker, *where in _markers(content, 2) if marker == _SOS)
    if not file.is_progressive and content[start : start + 1] == bytes((len(file.components),)):
        return _end_of_only_scan(content, at)
    while True:
        found = _MARKER_WITHIN_SCANS.search(content, at)
        if found is None:
            raise RejectedError("truncated", "the JPEG ends before its last pixel")
        if found[1][0] == _EOI:
            return found.end()
        length = int.from_bytes(content[found.end() : found.end() + 2])
        if length < 2 or found[1][0] == 0xD8:  # noqa: PLR2004 - the length counts itself; SOI
            raise RejectedError("corrupt", f"the JPEG's pixels are damaged at byte {found.start()}")
        at = found.end() + length


def _end_of_only_scan(content: bytes, at: int) -> int:
    """Return where the end mark is: entropy-coded data have none within, and nothing but it may follow."""
    end = content.find(b"\xff\xd9", at)
    if end < 0:
        raise RejectedError("truncated", "the JPEG ends before its last pixel")
    return end + 2
