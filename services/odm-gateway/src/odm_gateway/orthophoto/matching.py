"""The same features found in two photos.

A few hundred of the largest features, compared each with each, show how the photos lie to one another; then
every feature is compared only with those near the place where it should be. This costs a fifth of comparing
all with all, and finds more, since a field has many look-alikes but few of them in the right place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from scipy.spatial import cKDTree

from .cache import ArrayCache, Arrays, content_key, photo_key
from .parallel import map_threads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .features import Features
    from .models import Floats, Photo, Progress
    from .options import EngineOptions

_FORMAT: Final = "matches-1"
_COARSE_FEATURES: Final = 1000
_COARSE_TOLERANCE: Final = 0.04
"""Of the longer side: relief and tilt move a feature by this much against a plane similarity."""
_FEWEST_COARSE: Final = 8
_FEWEST_FOR_HOMOGRAPHY: Final = 24
_CELL: Final = 0.1
_REACH: Final = 0.05
_RATIO_SQUARED: Final = 0.82**2
_EPIPOLAR_TOLERANCE: Final = 2.0 / 1280
_FEWEST_INLIERS: Final = 20


@dataclass(frozen=True, slots=True)
class Match:
    """Features that two photos share."""

    first: int
    second: int
    """Indices of the photos."""
    pairs: NDArray[np.int32]
    """(n, 2) index of the feature in the first photo and in the second."""


def match_all(
    photos: Sequence[Photo],
    features: Sequence[Features],
    positions: Floats,
    work_dir: Path,
    options: EngineOptions,
    progress: Progress,
) -> list[Match]:
    """Match every photo with its neighbours; pairs that share too little are missing from the result."""
    cache = ArrayCache(work_dir / "matches")
    asked = (_FORMAT, options.longer_side_px, options.features_per_photo)
    keys = [photo_key(photo, *asked) for photo in photos]
    pairs = neighbor_pairs(positions, options.matcher_neighbors)

    def match(pair: tuple[int, int]) -> Match:
        first, second = pair
        key = content_key(keys[first], keys[second])
        stored = cache.load(key)
        if stored is None:
            found = match_pair(features[first], features[second], photos[first].focal_ratio)
            stored = Arrays(pairs=found)
            cache.store(key, stored)
        return Match(first, second, stored["pairs"])

    matches = map_threads(
        match, pairs, options.max_concurrency, lambda share: progress("matching", 30 + 35 * share)
    )
    overlapping = [one for one in matches if len(one.pairs)]
    progress("matching", 65.0, f"{len(overlapping)} of {len(pairs)} neighbouring pairs overlap")
    return overlapping


def neighbor_pairs(positions: Floats, neighbors: int) -> list[tuple[int, int]]:
    """Return pairs of each photo with its nearest by plan position, and with the next in time."""
    count = len(positions)
    _, nearest = cKDTree(positions[:, :2]).query(positions[:, :2], k=min(neighbors + 1, count))
    pairs = {(index, index + 1) for index in range(count - 1)}
    for index, others in enumerate(nearest):
        pairs.update((min(index, int(other)), max(index, int(other))) for other in others if other != index)
    return sorted(pairs)


def match_pair(first: Features, second: Features, focal: float) -> NDArray[np.int32]:
    """Return (n, 2) indices of features that agree in look and in geometry; none if fewer than 20 do."""
    nothing = np.zeros((0, 2), np.int32)
    warp = _coarse_warp(first, second)
    if warp is None:
        return nothing
    pairs = _guided(first, second, warp)
    if len(pairs) < _FEWEST_INLIERS:
        return nothing
    camera = np.diag([focal, focal, 1.0])
    found: tuple[Any, Any] = cv2.findEssentialMat(
        first.points[pairs[:, 0]].astype(np.float64),
        second.points[pairs[:, 1]].astype(np.float64),
        camera,
        method=cv2.RANSAC,
        prob=0.999,
        threshold=_EPIPOLAR_TOLERANCE,
    )
    inliers = _marked(pairs, found[1])
    return inliers if len(inliers) >= _FEWEST_INLIERS else nothing


def _marked(pairs: NDArray[np.int32], mask: NDArray[np.uint8] | None) -> NDArray[np.int32]:
    return pairs[:0] if mask is None else pairs[mask.ravel() > 0]


def _coarse_warp(first: Features, second: Features) -> Floats | None:
    """Return the homography that lays the first photo over the second, judged by the largest features."""
    first_few, second_few = first.descriptors[:_COARSE_FEATURES], second.descriptors[:_COARSE_FEATURES]
    if min(len(first_few), len(second_few)) < _FEWEST_COARSE:
        return None
    pairs = _one_to_one(np.column_stack(_nearest(first_few, second_few)))
    here, there = first.points[pairs[:, 0]], second.points[pairs[:, 1]]
    if len(here) < _FEWEST_COARSE:
        return None
    found: tuple[Any, Any] = cv2.estimateAffinePartial2D(
        here,
        there,
        method=cv2.RANSAC,
        ransacReprojThreshold=_COARSE_TOLERANCE,
        maxIters=2000,
        confidence=0.999,
    )
    similarity, mask = found
    if similarity is None or mask.sum() < _FEWEST_COARSE:
        return None
    inliers = mask.ravel() > 0
    if inliers.sum() >= _FEWEST_FOR_HOMOGRAPHY:
        homography, _ = cv2.findHomography(here[inliers], there[inliers], cv2.RANSAC, _COARSE_TOLERANCE / 2)
        if homography is not None:
            return np.asarray(homography, np.float64)
    return np.vstack([similarity, [0.0, 0.0, 1.0]])


def _guided(first: Features, second: Features, warp: Floats) -> NDArray[np.int32]:
    """Compare each feature with those of the second photo that lie within reach of where it should be."""
    expected = cv2.perspectiveTransform(first.points[None].astype(np.float64), warp)[0]
    cell = np.floor(expected / _CELL).astype(int)
    visible = np.flatnonzero((np.abs(expected) < 0.5 + _REACH).all(axis=1))
    order = visible[np.lexsort((cell[visible, 0], cell[visible, 1]))]
    breaks = np.flatnonzero(np.any(np.diff(cell[order], axis=0), axis=1)) + 1
    found = []
    for members in np.split(order, breaks):
        if len(members):
            low = cell[members[0]] * _CELL - _REACH
            near = np.flatnonzero(
                ((second.points > low) & (second.points < low + _CELL + 2 * _REACH)).all(axis=1)
            )
            index, other, distance = _nearest(first.descriptors[members], second.descriptors[near])
            found.append(np.column_stack([members[index], near[other], distance]))
    if not found:
        return np.zeros((0, 2), np.int32)
    return _one_to_one(np.concatenate(found))


def _nearest(
    first: NDArray[np.uint8], second: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the first set's indices, the second's and squared distances where the best is clearly best.

    OpenCV compares here, not a matrix product: BLAS would start threads of its own in each of ours.
    """
    if len(first) < 1 or len(second) < 2:  # noqa: PLR2004 - without a second best nothing tells a good match
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    distance, index = cv2.batchDistance(
        first.astype(np.float32), second.astype(np.float32), cv2.CV_32F, normType=cv2.NORM_L2SQR, K=2
    )
    kept = np.flatnonzero(distance[:, 0] < _RATIO_SQUARED * distance[:, 1])
    return kept, index[kept, 0].astype(np.int64), distance[kept, 0]


def _one_to_one(found: Floats) -> NDArray[np.int32]:
    """Keep the nearest of several that were matched with the same feature of the second photo."""
    found = found[np.argsort(found[:, 2], kind="stable")]
    _, keep = np.unique(found[:, 1], return_index=True)
    return found[np.sort(keep), :2].astype(np.int32)
