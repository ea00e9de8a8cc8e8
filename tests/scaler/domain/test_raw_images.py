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


@pytest.mark.parametrize("end", [done, gone])
def test_an_image_that_is_back_is_scaled_anew_whatever_was_noted(end: object) -> None:
    ended = end(stored(image(), COPY, NOW), NOW)  # type: ignore[operator]

    back = seen_again(ended, NOW)

    assert back is not None
    assert (back.state, back.stored) == (ImageState.WAITING, None)
    with pytest.raises(ConflictError):
        retried(ended, NOW)


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
