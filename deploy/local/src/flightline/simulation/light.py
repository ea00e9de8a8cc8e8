"""Sunlight on a height field: slopes that face the sun, and shadows cast."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from flightline.simulation.canvas import Floats32

_SHADOW_LIGHT = 0.42
"""What is left of the light in full shadow: the sky's share."""


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the light comes from; azimuth clockwise from north."""

    azimuth_deg: float = 140.0
    elevation_deg: float = 48.0


def sunlight(heights: Floats32, cell_m: float, sun: Sun) -> Floats32:
    """Return the relative brightness of every cell, about 1 on a sunlit plain."""
    light = _hillshade(heights, cell_m, sun)
    shadow = cast_shadow(heights, cell_m, sun)
    cv2.GaussianBlur(shadow, (3, 3), 0.8, shadow)
    light *= 1 - (1 - _SHADOW_LIGHT) * shadow
    return light


def _hillshade(heights: Floats32, cell_m: float, sun: Sun) -> Floats32:
    smooth = cv2.GaussianBlur(heights, (5, 5), 1.2)
    east_slope = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=1 / (8 * cell_m))
    south_slope = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=1 / (8 * cell_m))
    azimuth, elevation = np.deg2rad([sun.azimuth_deg, sun.elevation_deg])
    to_sun = np.array([np.sin(azimuth), np.cos(azimuth)]) / np.tan(elevation)
    facing = 1 - np.float32(to_sun[0]) * east_slope + np.float32(to_sun[1]) * south_slope
    facing /= np.sqrt(1 + east_slope**2 + south_slope**2)
    return np.asarray(0.35 + 0.65 * np.clip(facing, 0, 1.5), np.float32)


def cast_shadow(heights: Floats32, cell_m: float, sun: Sun) -> Floats32:
    """Return 1 where something stands between a cell and the sun, 0 where nothing does.

    The highest obstacle towards the sun is found by doubling: what is known over n cells gives 2 n.
    """
    azimuth, elevation = np.deg2rad([sun.azimuth_deg, sun.elevation_deg])
    toward = np.array([np.sin(azimuth), -np.cos(azimuth)])
    drop_m = cell_m * float(np.tan(elevation))
    reach = float(heights.max() - heights.min()) / drop_m
    horizon = heights.copy()
    step = 1.0
    while step < reach:
        shift = np.array([[1, 0, step * toward[0]], [0, 1, step * toward[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        ahead = cv2.warpAffine(
            horizon, shift, heights.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        np.maximum(horizon, ahead - np.float32(step * drop_m), out=horizon)
        step *= 2
    return np.asarray(np.clip((horizon - heights - 0.05) / 0.25, 0, 1), np.float32)
