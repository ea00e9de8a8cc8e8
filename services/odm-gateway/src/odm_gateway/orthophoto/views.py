"""Where a photo sees the ground: projection of surface points into adjusted photos, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from .camera import project, rays
from .sampling import sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .models import Block, Floats, Lens, Photo, Pose, Surface

_EDGE_POINTS: Final = 9
_STEEPEST: Final = 1.7
"""Tangent of the angle off nadir (60 degrees) beyond which a photo is not used: it would smear the ground."""
_FOOTPRINT_ROUNDS: Final = 4
_WIDEST_REACH: Final = 3.0


@dataclass(frozen=True, slots=True)
class View:
    """One adjusted photo as the mosaic needs it."""

    index: int
    photo: Photo
    pose: Pose
    lens: Lens
    lens_reach: float
    """Largest tangent of the angle off the axis that the lens model images once."""

    @property
    def longer_px(self) -> int:
        """The photo's longer side, to which lens lengths relate."""
        return max(self.photo.width, self.photo.height)

    @property
    def size(self) -> Floats:
        """Width and height, pixels."""
        return np.array([self.photo.width, self.photo.height], np.float64)

    def project(self, points: Floats) -> Floats:
        """Return image positions of ``(n, 3)`` points as ``(n, 2)`` pixels; NaN where it cannot look."""
        in_camera = (points - self.pose.position) @ self.pose.rotation.T
        pixels = project(self.lens, in_camera) * self.longer_px + self.size / 2
        away = np.linalg.norm(points[:, :2] - self.pose.position[:2], axis=1)
        hidden = away > _STEEPEST * (self.pose.position[2] - points[:, 2])
        # Further out the distortion polynomial folds back and would bring far points into the photo.
        hidden |= np.linalg.norm(in_camera[:, :2], axis=1) > self.lens_reach * in_camera[:, 2]
        pixels[hidden] = np.nan
        return pixels

    def sees(self, pixels: Floats) -> NDArray[np.bool_]:
        """Return which of ``(n, 2)`` image positions lie within the photo."""
        return np.asarray(((pixels >= 0) & (pixels <= self.size)).all(axis=1))

    def footprint(self, surface: Surface) -> Floats:
        """Return the ``(n, 2)`` outline of the ground in the photo, block metres, clipped when oblique."""
        outward = rays(self.lens, self._edge()) @ self.pose.rotation
        flat = np.linalg.norm(outward[:, :2], axis=1)
        reach = np.minimum(flat / np.maximum(-outward[:, 2], 1e-9), _STEEPEST)
        heading = outward[:, :2] / np.maximum(flat, 1e-12)[:, None]
        ground = np.repeat(self.pose.position[None, :2], len(outward), axis=0)
        for _ in range(_FOOTPRINT_ROUNDS):
            drop = np.maximum(self.pose.position[2] - heights_at(surface, ground), 0)
            ground = self.pose.position[:2] + heading * (reach * drop)[:, None]
        return ground

    def _edge(self) -> Floats:
        """Return points along the photo's border, offsets from its centre over the longer side."""
        along = np.linspace(-1, 1, _EDGE_POINTS)
        side = np.ones_like(along)
        sides = [(along, -side), (side, along), (-along, side), (-side, -along)]
        return np.concatenate([np.stack(pair, axis=1) for pair in sides]) * self.size / (2 * self.longer_px)


def views_of(block: Block) -> list[View]:
    """Return the views of a block, in the order of its photos."""
    reach = _lens_reach(block.lens)
    pairs = zip(block.photos, block.poses, strict=True)
    return [View(index, photo, pose, block.lens, reach) for index, (photo, pose) in enumerate(pairs)]


def _lens_reach(lens: Lens) -> float:
    """Return where ``r (1 + k1 r^2 + k2 r^4)`` stops growing, or the widest angle of interest."""
    squared = np.linspace(0, _WIDEST_REACH**2, 9_001)
    shrinking = 1 + squared * (3 * lens.k1 + squared * 5 * lens.k2) <= 0
    return float(np.sqrt(squared[shrinking.argmax()])) if shrinking.any() else _WIDEST_REACH


def heights_at(surface: Surface, ground: Floats) -> Floats:
    """Return surface heights under ``(n, 2)`` block positions, continued level beyond the grid's edge."""
    cells = np.stack([ground[:, 0] - surface.west_m, surface.north_m - ground[:, 1]], axis=1) / surface.cell_m
    return sample(surface.heights, cells[:, None]).ravel().astype(np.float64)


def ground_sample_distance_m(views: list[View], surface: Surface) -> float:
    """Return the median ground width of a photo's pixel, metres."""
    positions = np.array([view.pose.position for view in views])
    above = positions[:, 2] - heights_at(surface, positions[:, :2])
    return float(np.median(above / [view.lens.focal * view.longer_px for view in views]))
