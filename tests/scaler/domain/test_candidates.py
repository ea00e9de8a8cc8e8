"""Which files are taken for images to scale, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scaler.domain.candidates import Sighting, is_wanted, settled

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT_REST = timedelta(seconds=5)


def sighting(**more: object) -> Sighting:
    facts = {"etag": '"1"', "size_bytes": 10, "modified_at": NOW - timedelta(minutes=1)} | more
    return Sighting("raw/a.jpg", **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("Unknown.jpg", True),
        ("Unknown", True),
        ("Unknown-3.PNG", True),
        ("unknown.jpg", False),
        ("my Unknown.jpg", False),
        ("Unknown.jpg.part", False),
        ("Unknown.jpg~", False),
        ("Unknown.CRDOWNLOAD", False),
    ],
)
def test_names_begin_with_a_prefix_and_are_of_finished_files(name: str, is_one: bool) -> None:
    assert is_wanted(name, ("Unknown", "IMG_")) is is_one


def test_a_file_has_come_to_rest_when_it_looks_the_same_twice() -> None:
    one = sighting()

    assert settled([one], {}, now=NOW, at_rest=AT_REST) == ([], [one])
    assert settled([one], {one.path: one}, now=NOW, at_rest=AT_REST) == ([one], [])


@pytest.mark.parametrize(
    "change", [{"etag": '"2"'}, {"size_bytes": 11}, {"modified_at": NOW - timedelta(seconds=50)}]
)
def test_a_file_that_looks_different_is_looked_at_again(change: dict[str, object]) -> None:
    before, now = sighting(), sighting(**change)

    assert settled([now], {before.path: before}, now=NOW, at_rest=AT_REST) == ([], [now])


@pytest.mark.parametrize(
    ("modified_at", "is_still"),
    [
        (NOW - timedelta(seconds=1), False),
        (NOW - timedelta(seconds=6), True),
        (NOW + timedelta(hours=1), True),
        (None, True),
    ],
)
def test_a_file_that_was_just_written_waits_unless_the_clocks_differ(
    modified_at: datetime | None, is_still: bool
) -> None:
    one = sighting(modified_at=modified_at)

    still, moving = settled([one], {one.path: one}, now=NOW, at_rest=AT_REST)

    assert (still, moving) == (([one], []) if is_still else ([], [one]))
