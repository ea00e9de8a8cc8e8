"""Decoded photos, kept while they are needed and within a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .decoding import decode
from .models import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .models import Floats, Photo

_SHRINK_FROM: Final = 1.2
"""A picture this much finer than asked is averaged down; less does not alias visibly."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded photo, possibly smaller than the file."""

    pixels: NDArray[np.uint8]
    """(rows, columns, 3) RGB."""
    scale: tuple[float, float]
    """Picture pixels per photo pixel, across and down."""


@dataclass(frozen=True, slots=True)
class PictureCache:
    """Keeps the latest pictures up to ``limit_bytes``; several threads wanting one share its decoding."""

    limit_bytes: int
    _held: OrderedDict[Hashable, Future[Picture]]
    _lock: threading.Lock

    @classmethod
    def of(cls, limit_bytes: int) -> PictureCache:
        """Return an empty cache."""
        return cls(limit_bytes, OrderedDict(), threading.Lock())

    def get(self, key: Hashable, load: Callable[[], Picture]) -> Picture:
        """Return the picture under ``key``, from ``load`` if it is not held."""
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                self._held.move_to_end(key)
            else:
                mine = self._held[key] = Future()
        if held is not None:
            return held.result()
        try:
            mine.set_result(load())
        except BaseException as error:
            mine.set_exception(error)
            with self._lock:
                del self._held[key]
            raise
        with self._lock:
            self._shrink()
        return mine.result()

    def _shrink(self) -> None:
        sizes = {key: held.result().pixels.nbytes for key, held in self._held.items() if held.done()}
        total = sum(sizes.values())
        for key, size in list(sizes.items())[:-1]:
            if total <= self.limit_bytes:
                return
            del self._held[key]
            total -= size


def load_picture(photo: Photo, shrink: float, gains: Floats) -> Picture:
    """Return a photo ``shrink`` times smaller, its exposure evened out by RGB ``gains``.

    Raises:
        EngineError: ``UNREADABLE``, the file changed or vanished since it was scanned.
    """
    decoded = decode(photo.path, shrink)
    if decoded is None:
        raise EngineError("UNREADABLE", f"{photo.name} cannot be read any more.")
    image, factor = decoded
    rows, columns = image.shape[:2]
    if shrink / factor > _SHRINK_FROM:
        size = (max(1, round(photo.width / shrink)), max(1, round(photo.height / shrink)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    steps = np.arange(256, dtype=np.float64)[:, None] * gains[None, ::-1]
    table = np.clip(np.rint(steps), 0, 255).astype(np.uint8).reshape(256, 1, 3)
    pixels = np.asarray(cv2.cvtColor(cv2.LUT(image, table), cv2.COLOR_BGR2RGB), np.uint8)
    return Picture(pixels, (pixels.shape[1] / (columns * factor), pixels.shape[0] / (rows * factor)))


def blurred(picture: Picture, sigma_px: float) -> Picture:
    """Return the picture without detail finer than ``sigma_px``; its edge continues outwards."""
    pixels = cv2.GaussianBlur(picture.pixels, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)
    return Picture(np.asarray(pixels, np.uint8), picture.scale)
