"""Move a whole scene to where GPS says that it is, in closed form: the solver does this far too slowly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from .camera import cross_matrix, rotation_exp

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bundle import Scene
    from .models import Floats

    Fit = Callable[[Floats, Floats, Floats], tuple[float, Floats, Floats]]

_ROUNDS: Final = 5
_STRIP_SHARE: Final = 0.15
"""Of the flying height: a narrower flight does not fix the roll about its own axis by positions."""


def align(scene: Scene, gps: Floats, *, vertical: bool) -> Scene:
    """Return ``scene`` turned, scaled and shifted onto ``gps``.

    Without trustworthy heights, or for a single strip, the mean optical axis is made plumb and only the plan
    is fitted, and of a strip its slope.
    """
    height = float(np.median(scene.positions[:, 2]) - np.median(scene.points[:, 2]))
    spread = np.linalg.svd(gps[:, :2] - gps[:, :2].mean(axis=0), compute_uv=False) / np.sqrt(len(gps))
    if not vertical or spread[1] < _STRIP_SHARE * abs(height):
        upright = _align_plan(_plumb(scene), gps, vertical=vertical)
        return _align_plan(_pitch(upright, gps), gps, vertical=True) if vertical else upright
    return _transform(scene, *_reweighted(fit_similarity_3d, scene.positions, gps))


def _plumb(scene: Scene) -> Scene:
    """Turn the scene so that cameras look down on average."""
    axis = scene.rotations[:, 2].mean(axis=0)
    axis /= np.linalg.norm(axis)
    down = np.array([0.0, 0.0, -1.0])
    cross = np.cross(axis, down)
    skew = cross_matrix(cross[None])[0]
    turn = np.eye(3) + skew + skew @ skew / (1 + axis @ down)
    return _transform(scene, 1.0, turn, np.zeros(3))


def _pitch(scene: Scene, gps: Floats) -> Scene:
    """Turn the scene about the horizontal across the strip, so that it climbs along it as GPS does."""
    from scipy.stats import theilslopes  # noqa: PLC0415 - 0.8 s and 40 MB, which only strips need

    _, _, axes = np.linalg.svd(gps[:, :2] - gps[:, :2].mean(axis=0), full_matrices=False)
    along = np.array([*axes[0], 0.0])
    slope = theilslopes(gps[:, 2] - scene.positions[:, 2], gps @ along).slope
    turn = rotation_exp(np.arctan(slope) * np.cross(along, [[0.0, 0.0, 1.0]]))[0]
    return _transform(scene, 1.0, turn, np.zeros(3))


def _align_plan(scene: Scene, gps: Floats, *, vertical: bool) -> Scene:
    """Fit the plan only: turn about the vertical, scale and shift."""
    flat = np.array([1.0, 1.0, 0.0])
    source, target = scene.positions * flat, np.nan_to_num(gps) * flat
    scale, turn, shift = _reweighted(_fit_plan, source, target)
    if vertical:
        shift[2] = np.median(gps[:, 2] - scale * scene.positions[:, 2])
    else:  # the ground stays where it was
        shift[2] = (1 - scale) * np.median(scene.points[:, 2])
    return _transform(scene, scale, turn, shift)


def _fit_plan(source: Floats, target: Floats, weights: Floats) -> tuple[float, Floats, Floats]:
    share = weights / weights.sum()
    source_mean, target_mean = share @ source, share @ target
    here = (source - source_mean) @ [1, 1j, 0]
    there = (target - target_mean) @ [1, 1j, 0]
    factor = np.sum(share * here.conj() * there) / max(float(np.sum(share * np.abs(here) ** 2)), 1e-12)
    scale = float(np.abs(factor))
    cosine, sine = factor.real / scale, factor.imag / scale
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return scale, turn, target_mean - scale * turn @ source_mean


def _reweighted(fit: Fit, source: Floats, target: Floats) -> tuple[float, Floats, Floats]:
    """Return scale, rotation and shift of ``source`` onto ``target``, reweighted against outliers."""
    # A photo that went astray shows before the first fit, which it would otherwise pull along.
    weights = _cauchy(source - target)
    for _ in range(_ROUNDS):
        scale, turn, shift = fit(source, target, weights)
        weights = _cauchy(scale * source @ turn.T + shift - target)
    return scale, turn, shift


def _cauchy(offset: Floats) -> Floats:
    distance = np.linalg.norm(offset - np.median(offset, axis=0), axis=1)
    typical = max(float(np.median(distance)), 1e-6)
    weights: Floats = 1 / (1 + (distance / (2 * typical)) ** 2)
    return weights


def fit_similarity_3d(source: Floats, target: Floats, weights: Floats) -> tuple[float, Floats, Floats]:
    """Return scale, rotation (3, 3) and shift (3,) of least squares (Umeyama 1991)."""
    share = weights / weights.sum()
    source_mean, target_mean = share @ source, share @ target
    here, there = source - source_mean, target - target_mean
    left, singular, right = np.linalg.svd((there * share[:, None]).T @ here)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = (left * signs) @ right
    scale = float(singular @ signs / max(float(share @ np.sum(here**2, axis=1)), 1e-12))
    return scale, turn, target_mean - scale * turn @ source_mean


def _transform(scene: Scene, scale: float, turn: Floats, shift: Floats) -> Scene:
    return replace(
        scene,
        rotations=scene.rotations @ turn.T,
        positions=scale * scene.positions @ turn.T + shift,
        points=scale * scene.points @ turn.T + shift,
    )
