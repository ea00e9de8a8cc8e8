"""How an image's document changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scaler.domain.candidates import Sighting
from scaler.domain.raw_images import (
    ImageState,
    RawImage,
    Stored,
    done,
    gone,
    postponed,
    raw_image,
    raw_image_id,
    rejected,
    retried,
    seen_again,
    stored,
    wait_s,
)
from shared.errors import ConflictError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLACE = "https://cloud.example.org/raw"
COPY = Stored(
    source_sha256="a" * 64, target="unsorted/x.jpg", sha256="b" * 64, size_bytes=9, width=4, height=2
)


def image() -> RawImage:
    return raw_image(PLACE, Sighting("raw/a.jpg", '"1"', 10, NOW), NOW)


def test_each_version_of_a_file_has_an_id_of_its_own() -> None:
    seen = [
        Sighting("raw/a.jpg", '"1"', 10, NOW),
        Sighting("raw/a.jpg", '"2"', 10, NOW),
        Sighting("raw/a.jpg", '"1"', 11, NOW),
        Sighting("raw/a.jpg", '"1"', 10, NOW + timedelta(seconds=1)),
        Sighting("raw/b.jpg", '"1"', 10, None),
    ]

    assert len({raw_image_id(PLACE, one) for one in seen}) == len(seen)
    assert raw_image_id(PLACE, seen[0]) != raw_image_id("elsewhere", seen[0])


def test_a_rejected_image_is_not_due_before_it_is_retried() -> None:
    rejection = rejected(image(), "truncated", "cut", NOW)

    assert (rejection.state, rejection.rejected_as, rejection.error) == (
        ImageState.REJECTED,
        "truncated",
        "cut",
    )
    assert rejection.due_s > (NOW + timedelta(days=10_000)).timestamp()
    assert seen_again(rejection, NOW) is None
    again = retried(rejection, NOW)
    assert (again.state, again.rejected_as, again.error) == (ImageState.WAITING, None, None)


LATER = NOW + timedelta(minutes=1)


@pytest.mark.parametrize("is_done", [True, False])
def test_an_image_that_is_back_is_scaled_anew_whatever_was_noted(is_done: bool) -> None:
    noted = stored(image(), COPY, NOW)
    ended = done(noted, NOW) if is_done else gone(noted, "replaced", NOW)

    back = seen_again(ended, LATER)

    assert back is not None
    assert (back.state, back.stored) == (ImageState.WAITING, None)
    with pytest.raises(ConflictError):
        retried(ended, NOW)


def test_a_listing_from_before_an_end_does_not_bring_an_image_back() -> None:
    assert seen_again(done(image(), LATER), NOW) is None


def test_an_image_that_cannot_be_read_as_it_is_listed_waits_longer_each_time() -> None:
    waits, one = [], image()
    for minute in range(3):
        listed_at = NOW + timedelta(hours=minute + 1)
        back = seen_again(gone(one, "another size", NOW), listed_at)
        assert back is not None
        waits.append(back.due_s - listed_at.timestamp())
        one = back

    assert waits == [5, 10, 20]
    assert one.error == "another size"


def test_an_image_that_waits_keeps_the_note_of_its_copy() -> None:
    noted = stored(image(), COPY, NOW)

    later = postponed(noted, "locked", 5, NOW)

    assert seen_again(noted, NOW) is None
    assert (later.stored, later.attempt, later.due_s) == (COPY, 1, NOW.timestamp() + 5)


def test_waits_double_up_to_an_hour_and_differ() -> None:
    middle = [wait_s(attempt, 0.5) for attempt in range(1, 60)]

    assert middle[:4] == [5, 10, 20, 40]
    assert middle[-1] == 3600
    assert wait_s(3, 0.0) == 15
    assert wait_s(3, 1.0) == 25
