"""From the world to the image and back: rotations, the Brown lens, rays and their intersection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .models import Floats, Lens

_UNDISTORT_ROUNDS: Final = 12
_BEHIND: Final = 1e-6


def to_camera(rotations: Floats, positions: Floats, points: Floats) -> Floats:
    """Return ``rotations @ (points - positions)``, all stacked along the first axis: (n, 3)."""
    turned: Floats = np.einsum("nij,nj->ni", rotations, points - positions)
    return turned


def project(lens: Lens, in_camera: Floats) -> Floats:
    """Return (n, 2) offsets from the image centre over the longer side."""
    flat = in_camera[:, :2] / np.maximum(in_camera[:, 2:], _BEHIND)
    radius2 = np.sum(flat**2, axis=1, keepdims=True)
    image: Floats = lens.focal * flat * (1 + radius2 * (lens.k1 + lens.k2 * radius2))
    return image


def rays(lens: Lens, points: Floats) -> Floats:
    """Return (n, 3) unit directions in the camera frame in which image ``points`` are seen."""
    distorted = points / lens.focal
    flat = distorted
    for _ in range(_UNDISTORT_ROUNDS):
        radius2 = np.sum(flat**2, axis=1, keepdims=True)
        flat = distorted / np.maximum(1 + radius2 * (lens.k1 + lens.k2 * radius2), 0.1)
    ahead = np.column_stack([flat, np.ones(len(flat))])
    unit: Floats = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    return unit


def to_world(rotations: Floats, directions: Floats) -> Floats:
    """Return camera-frame ``directions`` (n, 3) turned into the world by ``rotations`` (n, 3, 3)."""
    turned: Floats = np.einsum("nij,ni->nj", rotations, directions)
    return turned


def rotation_exp(vectors: Floats) -> Floats:
    """Return (n, 3, 3) rotations by axis times angle in radians (Rodrigues' formula)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    cross = cross_matrix(vectors)
    first = np.sinc(angle / np.pi)
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    rotations: Floats = np.eye(3) + first * cross + second * (cross @ cross)
    return rotations


def cross_matrix(vectors: Floats) -> Floats:
    """Return (n, 3, 3) matrices whose product with a vector is the cross product."""
    matrices = np.zeros((len(vectors), 3, 3))
    matrices[:, 0, 1], matrices[:, 0, 2] = -vectors[:, 2], vectors[:, 1]
    matrices[:, 1, 0], matrices[:, 1, 2] = vectors[:, 2], -vectors[:, 0]
    matrices[:, 2, 0], matrices[:, 2, 1] = -vectors[:, 1], vectors[:, 0]
    return matrices


def inverse_symmetric(matrices: Floats) -> Floats:
    """Return inverses of symmetric positive (n, 3, 3) matrices by cofactors, much faster than LAPACK."""
    a, b, c = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 0, 2]
    d, e, f = matrices[:, 1, 1], matrices[:, 1, 2], matrices[:, 2, 2]
    cofactors = np.empty_like(matrices)
    cofactors[:, 0, 0] = d * f - e * e
    cofactors[:, 1, 1] = a * f - c * c
    cofactors[:, 2, 2] = a * d - b * b
    cofactors[:, 0, 1] = cofactors[:, 1, 0] = c * e - b * f
    cofactors[:, 0, 2] = cofactors[:, 2, 0] = b * e - c * d
    cofactors[:, 1, 2] = cofactors[:, 2, 1] = b * c - a * e
    determinant = a * cofactors[:, 0, 0] + b * cofactors[:, 0, 1] + c * cofactors[:, 0, 2]
    return cofactors / determinant[:, None, None]


def intersect(positions: Floats, directions: Floats, starts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return where bundles of rays come nearest together, and how widely each bundle opens.

    Args:
        positions: (n, 3) where the rays start.
        directions: (n, 3) unit vectors.
        starts: (bundles,) index of the first ray of each bundle; a bundle ends where the next starts.

    Returns:
        (bundles, 3) points of least squared distance, and (bundles,) twice the largest angle to the mean
        ray, radians.
    """
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    normal = np.add.reduceat(across, starts) + 1e-12 * np.eye(3)
    target = np.add.reduceat(np.einsum("nij,nj->ni", across, positions), starts)
    points = np.einsum("nij,nj->ni", inverse_symmetric(normal), target)
    mean = np.add.reduceat(directions, starts)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    lengths = np.diff(starts, append=len(directions))
    cosine = np.minimum.reduceat(np.sum(np.repeat(mean, lengths, axis=0) * directions, axis=1), starts)
    return points, 2 * np.arccos(np.clip(cosine, -1, 1))
