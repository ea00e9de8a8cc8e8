"""With which quality a JPEG was made, by its quantisation tables.

The Independent JPEG Group's encoder, and all that go by it, multiply the example tables of ITU T.81, K.1 by a
percentage that follows from a quality of 1 to 100 (``jpeg_quality_scaling`` of libjpeg's ``jcparam.c``).
Tables made like this give back their quality exactly. Cameras with tables of their own get the
least quality whose tables divide no more than theirs in sum: nothing is made coarser, and little is wasted.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from scaler.imaging.jpeg_file import JpegFile

_LUMA: Final = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
    26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
    56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
    95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
)  # fmt: skip
_CHROMA: Final = (
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99,
    *(99,) * 48,
)  # fmt: skip
"""Tables K.1 and K.2, in zigzag order."""


def quality_of(file: JpegFile) -> int:
    """Return the quality, 1 to 100, that keeps what the file has."""
    numbers = [one.table for one in file.components[:2]]
    ours = tuple(file.tables.get(number, (1,) * 64) for number in numbers)
    for quality in range(100, 0, -1):
        if _standard(quality)[: len(ours)] == ours:
            return quality
    coarseness = sum(map(sum, ours))
    return next((q for q in range(1, 101) if sum(map(sum, _standard(q)[: len(ours)])) <= coarseness), 100)


@cache
def _standard(quality: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality  # noqa: PLR2004 - libjpeg's bend
    luma, chroma = (
        tuple(min(255, max(1, (entry * percent + 50) // 100)) for entry in table)
        for table in (_LUMA, _CHROMA)
    )
    return luma, chroma
