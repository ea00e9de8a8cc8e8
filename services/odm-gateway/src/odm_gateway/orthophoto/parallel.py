"""Work spread over threads that stops at once when the run is canceled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


def map_threads(
    work: Callable[[T], R], items: Sequence[T], threads: int, after_each: Callable[[float], None]
) -> list[R]:
    """Return ``work(item)`` of every item in order, telling ``after_each`` the share that is done (0..1).

    What ``after_each`` or ``work`` raises ends the whole: items not yet begun are dropped.
    """
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                after_each(done / len(items))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [future.result() for future in futures]
