from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from odm_gateway.orthophoto.cache import ArrayCache, photo_key
from odm_gateway.orthophoto.exif import read_photo

from .known_flight import drone_tags, jpeg_bytes

if TYPE_CHECKING:
    from pathlib import Path


def test_given_arrays_when_stored_then_they_come_back(tmp_path: Path) -> None:
    ArrayCache(tmp_path / "cache").store("one", {"points": np.arange(6.0).reshape(3, 2)})

    stored = ArrayCache(tmp_path / "cache").load("one")

    assert stored is not None
    assert np.array_equal(stored["points"], np.arange(6.0).reshape(3, 2))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["one.npz"]


def test_given_a_half_written_file_when_loaded_then_it_counts_as_absent(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    cache.store("one", {"points": np.arange(1000.0)})
    whole = (tmp_path / "one.npz").read_bytes()

    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "one.npz").write_bytes(whole[:length])
        assert cache.load("one") is None


def test_given_a_touched_photo_when_keyed_then_its_key_is_new(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg_bytes(np.zeros((48, 64), np.uint8), drone_tags(datetime(2024, 6, 12, tzinfo=UTC))))
    photo = read_photo(path, 1)
    before = photo_key(photo, "medium")

    os.utime(path, ns=(0, 12345))

    assert photo_key(photo, "medium") not in {before, photo_key(photo, "high")}
