from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from odm_gateway.orthophoto.pictures import Picture, PictureCache, load_picture
from tests.support.scene import Scene, photographed

if TYPE_CHECKING:
    from pathlib import Path

EVEN = np.ones(3)


def picture(size_bytes: int) -> Picture:
    return Picture(np.zeros(size_bytes, np.uint8), (1.0, 1.0))


def test_given_more_pictures_than_fit_when_asked_then_the_oldest_are_decoded_again() -> None:
    cache = PictureCache.of(limit_bytes=250)
    decoded = []

    def load(key: int) -> Picture:
        decoded.append(key)
        return picture(100)

    for key in (1, 2, 1, 3, 1, 2):
        cache.get(key, lambda key=key: load(key))  # type: ignore[misc]  # bound now, not later

    assert decoded == [1, 2, 3, 2]


def test_given_threads_that_want_one_picture_when_asked_then_it_is_decoded_once() -> None:
    cache = PictureCache.of(limit_bytes=1000)
    together = threading.Barrier(4)
    decoded = []

    def load() -> Picture:
        decoded.append(1)
        return picture(10)

    def ask() -> Picture:
        together.wait()
        return cache.get("photo", load)

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(ask) for _ in range(4)]

    assert len({id(one.result()) for one in found}) == len(decoded) == 1


def test_given_a_picture_that_failed_when_asked_again_then_it_is_tried_again() -> None:
    cache = PictureCache.of(limit_bytes=1000)

    def fail() -> Picture:
        raise OSError

    with pytest.raises(OSError, match=r"^$"):
        cache.get("photo", fail)

    assert cache.get("photo", lambda: picture(10)).pixels.nbytes == 10


@pytest.mark.parametrize(("shrink", "size"), [(1.0, (240, 320)), (2.0, (120, 160)), (3.0, (80, 107))])
def test_given_a_shrink_when_loaded_then_the_scale_maps_photo_pixels(
    tmp_path: Path, shrink: float, size: tuple[int, int]
) -> None:
    block, _ = photographed(Scene(columns=1, rows=1), tmp_path)

    loaded = load_picture(block.photos[0], shrink, EVEN)

    assert loaded.pixels.shape == (*size, 3)
    assert loaded.scale == pytest.approx((size[1] / 320, size[0] / 240))


def test_given_gains_when_loaded_then_red_green_and_blue_are_scaled(tmp_path: Path) -> None:
    grey = Scene(columns=1, rows=1, color=lambda east, _: np.full((*east.shape, 3), 100.0))
    block, _ = photographed(grey, tmp_path)

    loaded = load_picture(block.photos[0], 1.0, np.array([0.5, 1.0, 3.0]))

    assert loaded.pixels.reshape(-1, 3).mean(axis=0) == pytest.approx([50, 100, 255], abs=1)
