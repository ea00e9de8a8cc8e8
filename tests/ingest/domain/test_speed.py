from __future__ import annotations

import pytest

from ingest.domain.speed import HALF_OF_IT_S, Speed


def test_a_steady_stream_has_its_speed() -> None:
    speed = Speed(0)
    for second in range(1, 100):
        speed.add(1000, second)

    assert speed.bytes_per_s == pytest.approx(1000)


def test_what_was_long_ago_is_forgotten() -> None:
    speed = Speed(0)
    speed.add(10_000_000, 1)
    for second in range(2, int(20 * HALF_OF_IT_S)):
        speed.add(10, second)

    assert speed.bytes_per_s == pytest.approx(10, rel=0.2)


def test_nothing_has_no_speed() -> None:
    speed = Speed(5)
    speed.add(100, 5)

    assert speed.bytes_per_s == 0
