from __future__ import annotations

from datetime import timedelta

import pytest

from shared.errors import TransientError
from shared.retry_after import AT_MOST, read_retry_after, retry_after_headers


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("0", timedelta(0)),
        ("120", timedelta(minutes=2)),
        ("9" * 400, AT_MOST),
        ("Fri, 31 Dec 9999 23:59:59 GMT", AT_MOST),
        ("Thu, 01 Jan 1970 00:00:00 GMT", timedelta(0)),
    ],
)
def test_a_server_is_left_alone_for_as_long_as_it_asks_but_no_longer_than_a_day(
    header: str, asked: timedelta
) -> None:
    assert read_retry_after(header) == asked


@pytest.mark.parametrize(
    "header", [None, "", "soon", "-5", "1e3", "1.5", "²", "٣", "9" * 5000, "Fri, 31 Dec 2066 23:59:59 -0000"]
)
def test_what_is_no_time_is_passed_over(header: str | None) -> None:
    assert read_retry_after(header) is None


def test_whoever_asks_less_often_says_how_long_at_most() -> None:
    assert read_retry_after("7200", timedelta(hours=1)) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("wait", "told"),
    [(None, "5"), (timedelta(0), "5"), (timedelta(seconds=1.2), "2"), (timedelta(1), "86400")],
)
def test_our_answers_say_whole_seconds_and_never_none(wait: timedelta | None, told: str) -> None:
    assert retry_after_headers(TransientError("busy", retry_after=wait)) == {"Retry-After": told}
