"""Pictures of images that are too large to be copied with more bytes a pixel."""

from __future__ import annotations

import cv2
import numpy as np

from datalab.pictures.browser import browser_image

SIDE_PX = 5801
SHOWN_PX = 500


def test_a_large_image_is_shown_as_a_small_one_would_be() -> None:
    places = np.arange(SIDE_PX, dtype=np.float32)
    pixels = places + 2 * places[:, None]
    pixels[:600] = np.nan

    shown = browser_image(pixels, None, side_px=SHOWN_PX, saturation=None)["data"]

    values = np.array([np.nan if value is None else value for value in shown])[::-1]
    found = values.reshape(SHOWN_PX, SHOWN_PX)[:, ::-1]
    expected = cv2.resize(pixels, (SHOWN_PX, SHOWN_PX), interpolation=cv2.INTER_AREA)
    assert np.isnan(found[:49]).all()
    difference = np.abs(found - expected)[51:]
    assert np.nanmax(difference) < 3 * SIDE_PX / SHOWN_PX / 4 + 1
    assert np.isfinite(found[51:]).all()
