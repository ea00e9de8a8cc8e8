"""Names of scaled images follow from their sources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.domain.asks import Format
from scaler.domain.naming import NAME_BYTES_AT_MOST, exif_date, scaled_name

WHEN = datetime(2026, 3, 12, 10, 15, 30, tzinfo=UTC)
HASH = "0123456789ab" + "c" * 52
OTHER_HASH = "a" * 64


def test_a_name_has_the_time_the_original_name_and_the_hash() -> None:
    assert scaled_name("Unknown 7.JPG", HASH, WHEN, "jpeg") == "20260312-101530_Unknown 7_0123456789ab.JPG"


def test_the_time_is_that_of_one_zone_everywhere() -> None:
    elsewhere = WHEN.astimezone(timezone(timedelta(hours=-7)))

    assert scaled_name("a.jpg", HASH, elsewhere, "jpeg") == scaled_name("a.jpg", HASH, WHEN, "jpeg")


def test_a_name_holds_nothing_that_a_server_or_a_client_cannot_write() -> None:
    assert (
        scaled_name('a?b;c:d"e%f#g.jpg', HASH, WHEN, "jpeg")
        == "20260312-101530_a_b_c_d_e%f#g_0123456789ab.jpg"
    )


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert scaled_name("a.jpg", HASH, WHEN, "jpeg", 3) == "20260312-101530_a_0123456789ab-3.jpg"


def test_an_image_without_a_time_says_so() -> None:
    assert scaled_name("a.jpg", HASH, None, "jpeg").startswith("undated_a_")


@pytest.mark.parametrize(
    ("source", "image_format", "ending"),
    [
        ("Unknown", "jpeg", "Unknown_0123456789ab.jpg"),
        ("Unknown.png", "jpeg", "Unknown_0123456789ab.jpg"),
        ("Unknown.tiff", "tiff", "Unknown_0123456789ab.tiff"),
        ("Unknown v1.2", "webp", "Unknown v1.2_0123456789ab.webp"),
    ],
)
def test_the_ending_tells_the_format(source: str, image_format: Format, ending: str) -> None:
    assert scaled_name(source, HASH, WHEN, image_format).endswith(f"_{ending}")


def test_two_contents_of_one_name_and_second_have_two_names() -> None:
    """The script's names had a random number of one to a thousand, and overwrote each other."""
    assert scaled_name("a.jpg", HASH, WHEN, "jpeg") != scaled_name("a.jpg", OTHER_HASH, WHEN, "jpeg")


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=255))
def test_every_name_fits_and_is_one_part_of_a_path(source: str) -> None:
    name = scaled_name(source, HASH, WHEN, "jpeg", 20)

    assert len(name.encode()) <= NAME_BYTES_AT_MOST
    assert "/" not in name
    assert name.startswith("20260312-101530_")
    assert "_0123456789ab-20." in name


def exif(date: bytes) -> bytes:
    return b"\xff\xd8\xff\xe1\x00\x40Exif\0\0II*\0" + date + b"\0 more"


@pytest.mark.parametrize(
    ("content", "date"),
    [
        (exif(b"2025:07:01 12:13:14"), datetime(2025, 7, 1, 12, 13, 14, tzinfo=UTC)),
        (exif(b"0000:00:00 00:00:00"), None),
        (exif(b"not a date"), None),
        (b"\xff\xd8\xff\xdb 2025:07:01 12:13:14\0", None),
        (b"", None),
    ],
)
def test_an_exif_block_tells_when_it_was_taken(content: bytes, date: datetime | None) -> None:
    assert exif_date(content) == date
