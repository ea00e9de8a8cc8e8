"""Finding the stars of two frames, and how the one lies on the other.

Triangles of neighbouring stars are compared by the ratios of their sides, which stay what they are when a
frame is moved, turned, mirrored or scaled. Each pair of like triangles proposes how the frames lie; the
proposal that brings most stars onto each other counts, when that cannot be chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import exp, pi
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

BRIGHTEST: Final = 60
"""Stars that are compared; the same for both, so that they are the same stars."""
NEIGHBOURS: Final = 6
LEAST_STARS: Final = 5
_CELL_PX: Final = 32
_SIGMAS: Final = 5.0
_PEAK_PX: Final = 7
_RADIUS_PX: Final = 5
_WEIGHT_PX: Final = 1.8
_ROUNDS: Final = 5
_LIKE: Final = 0.01
_NEAR_PX: Final = 3.0
_CLOSE_PX: Final = 1.0
_PROPOSALS: Final = 4000
_CHANCE: Final = 1e-4
_SHARP: Final = 0.2
_SCALES: Final = (0.1, 10.0)

Points = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Match:
    """How one frame lies on another."""

    matrix: NDArray[np.float64]
    """2 x 3: where a position (x, y, 1) of the reference lies in the frame."""
    stars: int
    """That lie on each other."""
    rms_px: float

    def __call__(self, x: Points, y: Points) -> tuple[Points, Points]:
        """Return where positions of the reference lie in the frame."""
        (xx, xy, x0), (yx, yy, y0) = self.matrix
        return xx * x + xy * y + x0, yx * x + yy * y + y0


def find_stars(pixels: NDArray[Any], mask: NDArray[np.bool_] | None = None, most: int = BRIGHTEST) -> Points:
    """Return where the brightest stars are: rows of x, y, flux, the brightest first.

    What is sharper than its neighbours allow, such as a hot pixel or a cosmic ray, is no star; nor is what
    touches the edge or has unknown pixels near its middle.
    """
    image, known = _known(pixels, mask)
    if min(image.shape) < 2 * _PEAK_PX or known.mean() < 0.1:  # noqa: PLR2004
        return np.empty((0, 3))
    image -= _background(image, known)
    image[~known] = 0
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.float32)
    threshold = _SIGMAS * _noise(smooth, known)
    places = _peaks(smooth, threshold, known)
    stars = [_measured(image, int(x), int(y)) for x, y in places[: 3 * most]]
    found = np.array([star for star in stars if star is not None]).reshape(-1, 3)
    return found[np.argsort(-found[:, 2], kind="stable")][:most]


def _known(pixels: NDArray[Any], mask: NDArray[np.bool_] | None) -> tuple[Image, NDArray[np.bool_]]:
    image = np.array(pixels, np.float32, order="C")
    known = np.isfinite(image)
    if mask is not None:
        known &= ~mask
    image[~known] = 0
    return image, known


def _background(image: Image, known: NDArray[np.bool_]) -> Image:
    """Return a smooth background: medians of cells, each looked at in some hundred of its pixels."""
    height, width = image.shape
    rows, columns = max(1, height // _CELL_PX), max(1, width // _CELL_PX)
    deep, wide = height // rows, width // columns
    every = 2 if min(height, width) > 8 * _CELL_PX else 1
    few = known[::4, ::4]
    middle = np.median(image[::4, ::4][few]) if few.any() else 0.0
    cells, valid = (
        part[: rows * deep, : columns * wide]
        .reshape(rows, deep, columns, wide)[:, ::every, :, ::every]
        .swapaxes(1, 2)
        .reshape(rows, columns, -1)
        for part in (image, known)
    )
    levels = np.median(np.where(valid, cells, middle), axis=2).astype(np.float32)
    grid = cv2.medianBlur(levels, 3)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _noise(image: Image, known: NDArray[np.bool_]) -> float:
    every = max(1, int((image.size / 50_000) ** 0.5))
    few = image[::every, ::every][known[::every, ::every]]
    if not few.size:
        few = image[known]
    return max(1.4826 * float(np.median(np.abs(few - np.median(few)))), 1e-12)


def _peaks(smooth: Image, threshold: float, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    around = np.ones((_PEAK_PX, _PEAK_PX), np.uint8)
    peaks = (smooth >= cv2.dilate(smooth, around)) & (smooth > threshold)
    clean = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
    y, x = np.nonzero(peaks & (clean > 0))
    brightest = np.argsort(-smooth[y, x], kind="stable")
    return np.column_stack([x, y])[brightest]


def _measured(image: Image, x: int, y: int) -> tuple[float, float, float] | None:
    reach = _RADIUS_PX
    if not (reach <= x < image.shape[1] - reach and reach <= y < image.shape[0] - reach):
        return None
    part = image[y - reach : y + reach + 1, x - reach : x + reach + 1]
    if _is_sharp(part):
        return None
    light = np.clip(part, 0, None)
    right, up = _centred(light)
    return x + right, y + up, float(light.sum())


def _centred(light: Image) -> tuple[float, float]:
    """Return the middle of a star's light, weighed by a Gaussian that goes along with it."""
    places = np.arange(-_RADIUS_PX, _RADIUS_PX + 1, dtype=np.float64)
    x, y = 0.0, 0.0
    for _ in range(_ROUNDS):
        across, up = (np.exp(-((places - middle) ** 2) / (2 * _WEIGHT_PX**2)) for middle in (x, y))
        weights = light * np.outer(up, across)
        total = float(weights.sum()) or 1.0
        x += 2 * float((weights.sum(0) * (places - x)).sum()) / total
        y += 2 * float((weights.sum(1) * (places - y)).sum()) / total
        x, y = (float(np.clip(middle, -2, 2)) for middle in (x, y))
    return x, y


def _is_sharp(part: Image) -> bool:
    """Return whether the light of the middle is in one pixel alone."""
    middle = part[_RADIUS_PX - 1 : _RADIUS_PX + 2, _RADIUS_PX - 1 : _RADIUS_PX + 2]
    brightest = float(middle.max())
    return (float(middle.sum()) - brightest) / 8 < _SHARP * brightest


def match(reference: Points, frame: Points) -> Match | None:
    """Return how a frame lies on the reference, from what ``find_stars`` found in them; None: unknown."""
    ours, theirs = reference[:, :2], frame[:, :2]
    if min(len(ours), len(theirs)) < LEAST_STARS:
        return None
    proposals = _proposals(ours, theirs)
    least = _least(ours, theirs, len(proposals))
    best: tuple[int, NDArray[np.float64]] | None = None
    for corners, others in proposals:
        matrix = _similarity(ours[corners], theirs[others])
        if matrix is None:
            continue
        agreeing = int((_nearest(_placed(matrix, ours), theirs)[0] < _NEAR_PX).sum())
        if best is None or agreeing > best[0]:
            best = agreeing, matrix
            if agreeing > 0.6 * min(len(ours), len(theirs)) and agreeing >= least:
                break
    if best is None or best[0] < least:
        return None
    return _refined(best[1], ours, theirs, least)


def _proposals(ours: Points, theirs: Points) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return like triangles, those that are most alike first."""
    (mine, shapes), (other, others) = _triangles(ours), _triangles(theirs)
    if not len(mine) or not len(other):
        return []
    distances = _distances(shapes, others)
    pairs = np.argwhere(distances < _LIKE)
    order = np.argsort(distances[pairs[:, 0], pairs[:, 1]], kind="stable")[:_PROPOSALS]
    return [(mine[row], other[column]) for row, column in pairs[order]]


def _distances(points: Points, others: Points) -> NDArray[np.float64]:
    """Return how far each point is from each of the others."""
    return np.hypot(points[:, None, 0] - others[None, :, 0], points[:, None, 1] - others[None, :, 1])


def _nearest(points: Points, others: Points) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return for each point how far the nearest of the others is, and which it is."""
    distances = _distances(points, others)
    nearest = distances.argmin(1)
    return distances[np.arange(len(points)), nearest], nearest


def _triangles(points: Points) -> tuple[NDArray[np.int64], Points]:
    """Return triangles of neighbours, corners in the order of the sides opposite, and their sides' ratios."""
    near = np.argsort(_distances(points, points), axis=1, kind="stable")[:, : NEIGHBOURS + 1]
    corners = np.unique(
        [sorted((row[0], *pair)) for row in near for pair in combinations(row[1:], 2)], axis=0
    )
    places = points[corners]
    sides = np.linalg.norm(places[:, (1, 2, 0)] - places[:, (2, 0, 1)], axis=2)
    order = np.argsort(sides, axis=1)
    sides = np.take_along_axis(sides, order, axis=1)
    shapes = sides[:, :2] / sides[:, 2:]
    told_apart = (shapes[:, 0] > 0.1) & (shapes.sum(1) > 1.02) & (shapes[:, 1] < 0.99)  # noqa: PLR2004
    return np.take_along_axis(corners, order, axis=1)[told_apart], shapes[told_apart]


def _similarity(ours: Points, theirs: Points) -> NDArray[np.float64] | None:
    """Return the best of moves, turns, scales and mirrors; None where it is out of all proportion."""
    middle, other = ours.mean(0), theirs.mean(0)
    across = (ours - middle).T @ (theirs - other)
    left, stretch, right = np.linalg.svd(across)
    spread = float(((ours - middle) ** 2).sum())
    scale = float(stretch.sum()) / spread if spread else 0.0
    if not _SCALES[0] < scale < _SCALES[1]:
        return None
    turn = scale * (left @ right).T
    return np.column_stack([turn, other - turn @ middle])


def _placed(matrix: NDArray[np.float64], points: Points) -> Points:
    placed: Points = points @ matrix[:, :2].T + matrix[:, 2]
    return placed


def _least(ours: Points, theirs: Points, proposals: int) -> int:
    """Return how many stars must agree: chance, over all proposals, does so in ``_CHANCE`` of cases."""
    area = max(float(np.prod(np.ptp(theirs, axis=0))), 1.0)
    expected = len(ours) * min(1.0, len(theirs) * pi * _NEAR_PX**2 / area)
    term, tail, count = exp(-expected), 1.0, 0
    while tail * max(proposals, 1) > _CHANCE and count < len(ours):
        tail -= term
        count += 1
        term *= expected / count
    return max(LEAST_STARS, count + 3)


def _refined(matrix: NDArray[np.float64], ours: Points, theirs: Points, least: int) -> Match | None:
    for near_px in (_NEAR_PX, _NEAR_PX, _CLOSE_PX):
        pairs = _pairs(matrix, ours, theirs, near_px)
        if len(pairs) < LEAST_STARS:
            return None
        better = _similarity(ours[pairs[:, 0]], theirs[pairs[:, 1]])
        if better is None:
            return None
        matrix = better
    pairs = _pairs(matrix, ours, theirs, _NEAR_PX)
    apart = np.linalg.norm(_placed(matrix, ours[pairs[:, 0]]) - theirs[pairs[:, 1]], axis=1)
    if len(pairs) < least:
        return None
    return Match(matrix, len(pairs), float(np.sqrt(np.median(apart**2))))


def _pairs(matrix: NDArray[np.float64], ours: Points, theirs: Points, near_px: float) -> NDArray[np.int64]:
    """Return indexes of stars that lie on each other, each one once."""
    distances, nearest = _nearest(_placed(matrix, ours), theirs)
    order = np.argsort(distances, kind="stable")
    order = order[distances[order] < near_px]
    first = np.unique(nearest[order], return_index=True)[1]
    kept = order[np.sort(first)]
    return np.column_stack([kept, nearest[kept]])
