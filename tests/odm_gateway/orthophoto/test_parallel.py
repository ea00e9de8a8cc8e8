from __future__ import annotations

import threading

import pytest

from odm_gateway.orthophoto.models import CanceledError
from odm_gateway.orthophoto.parallel import map_threads


def test_given_items_when_mapped_then_results_keep_their_order() -> None:
    shares: list[float] = []

    results = map_threads(lambda number: number * number, range(20), 4, shares.append)

    assert results == [number * number for number in range(20)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_given_a_cancel_when_mapping_then_the_rest_is_never_begun() -> None:
    begun: list[int] = []
    gate = threading.Semaphore(1)

    def work(number: int) -> None:
        gate.acquire(timeout=10)
        begun.append(number)

    def cancel(_: float) -> None:
        gate.release(2)
        raise CanceledError

    with pytest.raises(CanceledError):
        map_threads(work, range(100), 2, cancel)

    assert len(begun) <= 3


def test_given_a_failing_item_when_mapped_then_its_error_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        map_threads(lambda number: 1 // number, [1, 0, 1], 2, lambda _: None)
