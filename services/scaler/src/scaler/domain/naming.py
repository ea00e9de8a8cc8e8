"""The name of a scaled image: from its source alone, so that every process finds the same one."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import PurePosixPath

from scaler.domain.asks import Format, named_as

NAME_BYTES_AT_MOST = 250
"""What Nextcloud takes in characters and every file system in bytes."""
HASH_DIGITS = 12
_TROUBLESOME = re.compile(r'[?;:*"<>|\\\x00-\x1f]')
"""What some servers cannot move files to, or Windows cannot write."""
UNDATED = "undated"
_EXIF_DATE = re.compile(rb"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)\0")
_EXIF_MARK = b"Exif\0\0"
_EXIF_AT_MOST_BYTES = 1 << 16
"""One JPEG segment."""


def scaled_name(
    source: str, source_sha256: str, taken_at: datetime | None, image_format: Format, attempt: int = 1
) -> str:
    """Return the name of a scaled image.

    Args:
        source: Name of the original, without folders.
        source_sha256: Of the original's bytes.
        taken_at: When the original was written or taken; None: nobody knows.
        image_format: Of the scaled image; a name that does not tell it gets another ending.
        attempt: 1, or higher where the lower ones name something else.
    """
    named = PurePosixPath(named_as(source, image_format))
    stamp = f"{taken_at.astimezone(UTC):%Y%m%d-%H%M%S}" if taken_at else UNDATED
    number = f"-{attempt}" if attempt > 1 else ""
    tail = f"_{source_sha256[:HASH_DIGITS]}{number}{named.suffix}"
    room_bytes = NAME_BYTES_AT_MOST - len(f"{stamp}_{tail}".encode())
    return f"{stamp}_{_cut(_TROUBLESOME.sub('_', named.stem), room_bytes)}{tail}"


def exif_date(content: bytes) -> datetime | None:
    """Return the first date of the Exif block, taken for UTC because cameras do not tell; or None."""
    start = content.find(_EXIF_MARK, 0, _EXIF_AT_MOST_BYTES)
    if start < 0:
        return None
    found = _EXIF_DATE.search(content, start, start + _EXIF_AT_MOST_BYTES)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _cut(text: str, size_bytes: int) -> str:
    return text.encode()[:size_bytes].decode(errors="ignore")
