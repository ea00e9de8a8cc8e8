from __future__ import annotations

import pytest

from shared.archives import Member, check
from shared.errors import InvalidInputError

END = 1 << 42


def entry(name: str, size_bytes: int = 10, packed_bytes: int = 10, start: int = 0) -> Member:
    return Member(name, size_bytes, packed_bytes, crc32=1, mode=0, start=start)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([Member("a", 1, 1, 0, 0, 0, is_encrypted=True)], "encrypted"),
        ([Member("a", 1, 1, 0, 0, 0, method=12)], "packed by method 12"),
        ([Member("a", 1, 1, 0, 0, 0, method=14)], "packed by method 14"),
        ([entry("a", start=0), entry("b", start=39)], "'b' lies within 'a'"),
        ([entry("a", start=END - 39)], "'a' overlaps its directory"),
        ([entry("a", size_bytes=60)] * 2, "more than 100 bytes"),
        ([entry("a", size_bytes=2 << 20, packed_bytes=1000)], "no honest one"),
    ],
)
def test_archives_that_do_harm_are_refused(entries: list[Member], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        check(entries, at_most_bytes=100, end=END)


def test_what_packs_well_is_no_bomb() -> None:
    check(
        [entry("blank.tif", size_bytes=1_000_000, packed_bytes=1000), entry("a", size_bytes=50, start=1030)],
        at_most_bytes=2_000_000,
        end=END,
    )


def test_a_whole_archive_that_packs_too_well_is_a_bomb() -> None:
    of_zeros = entry("a.tif", size_bytes=2 << 30, packed_bytes=2 << 21)
    with pytest.raises(InvalidInputError, match="no honest one"):
        check([of_zeros], at_most_bytes=1 << 40, end=END)
    photo = entry("b.jpg", size_bytes=1 << 30, packed_bytes=1 << 30, start=1 << 30)
    check([of_zeros, photo], at_most_bytes=1 << 40, end=END)
