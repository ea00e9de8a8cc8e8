"""Where a photo sees the ground: projection of surface points into adjusted photos, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .models import Block, Floats, Lens, Photo, Pose, Surface

_EDGE_POINTS: Final = 9
_STEEPEST: Final = 1.7
"""Tangent of the angle off nadir (60 degrees) beyond which a photo is not used: it would smear the ground."""


@dataclass(frozen=True, slots=True)
class View:
    """One adjusted photo as the mosaic needs it."""

    index: int
    photo: Photo
    pose: Pose
    lens: Lens

    def project(self, points: Floats) -> Floats:
        """Return image positions of ``(n, 3)`` block points as ``(n, 2)`` pixels; NaN where it cannot look.

        A pixel's centre is at half integers, as in `models`.
        """
        camera = (points - self.pose.position) @ self.pose.rotation.T
        away = np.linalg.norm(points[:, :2] - self.pose.position[:2], axis=1)
        visible = (camera[:, 2] > 0) & (away <= _STEEPEST * (self.pose.position[2] - points[:, 2]))
        depth = np.where(visible, camera[:, 2], np.nan)
        plane = camera[:, :2] / depth[:, None]
        squared = np.sum(plane**2, axis=1)
        plane *= (1 + squared * (self.lens.k1 + squared * self.lens.k2))[:, None]
        # Beyond this radius the distortion polynomial folds back: far points would land inside the photo.
        plane[squared > self.lens_reach() ** 2] = np.nan
        return plane * self.focal_px + (self.photo.width / 2, self.photo.height / 2)

    def sees(self, pixels: Floats) -> NDArray[np.bool_]:
        """Return which of ``(n, 2)`` image positions lie within the photo."""
        size = (self.photo.width, self.photo.height)
        return np.asarray(((pixels >= 0) & (pixels <= size)).all(axis=1))

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.lens.focal * max(self.photo.width, self.photo.height)

    def lens_reach(self) -> float:
        """Return the largest undistorted radius, over the focal length, that the lens images once."""
        roots = np.roots([5 * self.lens.k2, 3 * self.lens.k1, 1.0]) if self.lens.k2 or self.lens.k1 else []
        turns = [float(root.real) for root in roots if abs(root.imag) < 1e-12 and root.real > 0]
        return min([*turns, 9.0]) ** 0.5

    def footprint(self, surface: Surface) -> Floats:
        """Return the ``(n, 2)`` outline of the ground that the photo shows, block metres, clipped when oblique."""
        rays = self._edge_rays()
        flat = np.linalg.norm(rays[:, :2], axis=1)
        down = np.maximum(-rays[:, 2], 1e-9)
        reach = np.minimum(flat / down, _STEEPEST)
        heading = rays[:, :2] / np.maximum(flat, 1e-12)[:, None]
        ground = np.repeat(self.pose.position[None, :2], len(rays), axis=0)
        for _ in range(4):
            drop = self.pose.position[2] - heights_at(surface, ground)
            ground = self.pose.position[:2] + heading * (reach * drop)[:, None]
        return ground

    def _edge_rays(self) -> Floats:
        """Return world directions of the photo's border."""
        along = np.linspace(-1, 1, _EDGE_POINTS)
        side = np.ones_like(along)
        edge = np.concatenate([
            np.stack(pair, axis=1)
            for pair in ((along, -side), (side, along), (-along, side), (-side, -along))
        ])  # fmt: skip
        plane = edge * (self.photo.width / 2, self.photo.height / 2) / self.focal_px
        undistorted = plane.copy()
        for _ in range(10):
            squared = np.sum(undistorted**2, axis=1, keepdims=True)
            undistorted = plane / np.maximum(1 + squared * (self.lens.k1 + squared * self.lens.k2), 0.2)
        return np.concatenate([undistorted, np.ones((len(edge), 1))], axis=1) @ self.pose.rotation


def views_of(block: Block) -> list[View]:
    """Return the views of a block, in the order of its photos."""
    return [
        View(index, photo, pose, block.lens)
        for index, (photo, pose) in enumerate(zip(block.photos, block.poses, strict=True))
    ]


def heights_at(surface: Surface, ground: Floats) -> Floats:
    """Return surface heights under ``(n, 2)`` block positions, continued level beyond the grid's edge."""
    columns = (ground[:, 0] - surface.west_m) / surface.cell_m - 0.5
    rows = (surface.north_m - ground[:, 1]) / surface.cell_m - 0.5
    where = np.stack([columns, rows], axis=1).astype(np.float32).reshape(-1, 1, 2)
    # cv2.remap takes at most 32 767 rows of map.
    sampled = [
        cv2.remap(surface.heights, part, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for part in np.array_split(where, len(where) // 32_000 + 1)
    ]
    return np.concatenate(sampled).ravel().astype(np.float64)


def ground_sample_distance_m(views: list[View], surface: Surface) -> float:
    """Return the median ground width of a photo's pixel, metres."""
    positions = np.array([view.pose.position for view in views])
    above = positions[:, 2] - heights_at(surface, positions[:, :2])
    return float(np.median(above / [view.focal_px for view in views]))
