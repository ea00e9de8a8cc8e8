"""Bundle adjustment: poses, lens and ground points that explain all observations best.

Levenberg-Marquardt on the Schur complement of the points (Triggs et al. 2000), Huber weights on reprojection
and GPS, Gaussian priors on the lens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.sparse import block_array, bsr_matrix, csc_matrix, csr_matrix
from scipy.sparse.linalg import splu

from .camera import cross_matrix, inverse_symmetric, project, rotation_exp, to_camera
from .models import Lens

if TYPE_CHECKING:
    from .models import Floats
    from .tracks import Tracks

_GPS_HUBER: Final = 3.0
_FIRST_DAMPING: Final = 1e-3
_LARGEST_DAMPING: Final = 1e8


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is adjusted."""

    rotations: Floats
    """(photos, 3, 3) world to camera."""
    positions: Floats
    """(photos, 3)."""
    lens: Lens
    points: Floats
    """(tracks, 3)."""


@dataclass(frozen=True, slots=True)
class Priors:
    """What is known before."""

    gps: Floats
    """(photos, 3), NaN where unknown."""
    gps_sigma: Floats
    """(3,) metres."""
    lens: Lens
    lens_sigma: Floats
    """(3,) of focal ratio, k1 and k2."""


def residuals(scene: Scene, tracks: Tracks) -> Floats:
    """Return (observations, 2) projected minus observed, over the longer side."""
    in_camera = to_camera(
        scene.rotations[tracks.photo], scene.positions[tracks.photo], scene.points[tracks.track]
    )
    return project(scene.lens, in_camera) - tracks.points


def adjust(
    scene: Scene,
    tracks: Tracks,
    priors: Priors,
    sigma: float,
    huber: float,
    iterations: int,
    tolerance: float,
) -> Scene:
    """Improve ``scene`` until the cost falls by less than ``tolerance`` of itself.

    Args:
        scene: Where to start.
        tracks: Observations of all points of ``scene``.
        priors: GPS and lens.
        sigma: Standard deviation of an observed coordinate, over the longer side.
        huber: Multiple of ``sigma`` beyond which an observation counts linearly.
        iterations: At most this many steps.
        tolerance: Relative.
    """
    damping = _FIRST_DAMPING
    cost = _cost(scene, tracks, priors, sigma, huber)
    for _ in range(iterations):
        system = _linearize(scene, tracks, priors, sigma, huber)
        while damping < _LARGEST_DAMPING:
            candidate = _step(scene, tracks, system, damping)
            new_cost = np.inf if candidate is None else _cost(candidate, tracks, priors, sigma, huber)
            if candidate is not None and new_cost < cost:
                break
            damping *= 8
        else:
            return scene
        gain, scene, cost = 1 - new_cost / cost, candidate, new_cost
        damping = max(damping / 6, 1e-9)
        if gain < tolerance:
            break
    return scene


def _cost(scene: Scene, tracks: Tracks, priors: Priors, sigma: float, huber: float) -> float:
    length = np.linalg.norm(residuals(scene, tracks), axis=1) / sigma
    gps = np.abs(np.nan_to_num((scene.positions - priors.gps) / priors.gps_sigma))
    lens = (_lens_vector(scene.lens) - _lens_vector(priors.lens)) / priors.lens_sigma
    return _huber_cost(length, huber) + _huber_cost(gps, _GPS_HUBER) + float(lens @ lens)


def _huber_cost(length: Floats, bound: float) -> float:
    return float(np.sum(np.where(length <= bound, length**2, bound * (2 * length - bound))))


def _lens_vector(lens: Lens) -> Floats:
    return np.array([lens.focal, lens.k1, lens.k2])


@dataclass(frozen=True, slots=True)
class _System:
    """Blocks of the weighted normal equations; ``c`` is a photo, ``l`` the lens, ``p`` a point."""

    cc: Floats
    """(photos, 6, 6)."""
    cl: Floats
    """(photos, 6, 3)."""
    ll: Floats
    """(3, 3)."""
    cp: Floats
    """(observations, 6, 3)."""
    lp: Floats
    """(points, 3, 3)."""
    pp: Floats
    """(points, 3, 3)."""
    c: Floats
    """(photos, 6) negative gradient."""
    l: Floats  # noqa: E741 - named like its blocks
    p: Floats


def _linearize(scene: Scene, tracks: Tracks, priors: Priors, sigma: float, huber: float) -> _System:
    residual, by_photo, by_lens, by_point = _jacobians(scene, tracks)
    residual = residual / sigma
    length = np.linalg.norm(residual, axis=1)
    weight = np.minimum(1.0, huber / np.maximum(length, 1e-12))[:, None, None]
    scaled = weight / sigma
    starts = np.flatnonzero(np.diff(tracks.track, prepend=-1))
    photos = _summing(tracks, len(scene.positions))
    photo_t, lens_t, point_t = (np.swapaxes(one, 1, 2) * scaled for one in (by_photo, by_lens, by_point))
    by_photo, by_lens, by_point = by_photo / sigma, by_lens / sigma, by_point / sigma
    column = -residual[:, :, None]
    system = _System(
        cc=_sum_rows(photos, photo_t @ by_photo),
        cl=_sum_rows(photos, photo_t @ by_lens),
        ll=np.sum(lens_t @ by_lens, axis=0),
        cp=photo_t @ by_point,
        lp=np.add.reduceat(lens_t @ by_point, starts),
        pp=np.add.reduceat(point_t @ by_point, starts),
        c=_sum_rows(photos, photo_t @ column)[:, :, 0],
        l=np.sum(lens_t @ column, axis=0)[:, 0],
        p=np.add.reduceat(point_t @ column, starts)[:, :, 0],
    )
    _add_priors(system, scene, priors)
    return system


def _add_priors(system: _System, scene: Scene, priors: Priors) -> None:
    offset = np.nan_to_num((priors.gps - scene.positions) / priors.gps_sigma)
    weight = np.minimum(1.0, _GPS_HUBER / np.maximum(np.abs(offset), 1e-12))
    known = weight * np.isfinite(priors.gps) / priors.gps_sigma
    axes = np.arange(3)
    system.cc[:, 3 + axes, 3 + axes] += known / priors.gps_sigma
    system.c[:, 3:] += known * offset
    inverse_variance = priors.lens_sigma**-2
    system.ll[axes, axes] += inverse_variance
    system.l[:] += inverse_variance * (_lens_vector(priors.lens) - _lens_vector(scene.lens))


def _summing(tracks: Tracks, photos: int) -> csr_matrix:
    """Return the (photos, observations) matrix that adds up what belongs to one photo."""
    count = len(tracks.photo)
    return csr_matrix((np.ones(count), (tracks.photo, np.arange(count))), shape=(photos, count))


def _sum_rows(summing: csr_matrix, blocks: Floats) -> Floats:
    flat = summing @ blocks.reshape(len(blocks), -1)
    return np.asarray(flat).reshape(-1, *blocks.shape[1:])


def _jacobians(scene: Scene, tracks: Tracks) -> tuple[Floats, Floats, Floats, Floats]:
    """Return residuals (n, 2) and derivatives by pose (n, 2, 6), lens (n, 2, 3) and point (n, 2, 3).

    A pose moves by a rotation vector applied on the left, then by a shift of the position.
    """
    rotations = scene.rotations[tracks.photo]
    in_camera = to_camera(rotations, scene.positions[tracks.photo], scene.points[tracks.track])
    depth = np.maximum(in_camera[:, 2], 1e-6)[:, None]
    flat = in_camera[:, :2] / depth
    radius2 = np.sum(flat**2, axis=1)[:, None]
    focal, k1, k2 = _lens_vector(scene.lens)
    stretch = 1 + radius2 * (k1 + k2 * radius2)
    by_flat = flat[:, :, None] * flat[:, None, :] * (2 * k1 + 4 * k2 * radius2)[:, :, None]
    by_flat += stretch[:, :, None] * np.eye(2)
    by_flat *= (focal / depth)[:, :, None]
    by_camera = np.concatenate([by_flat, -(by_flat @ flat[:, :, None])], axis=2)
    by_point = by_camera @ rotations
    by_pose = np.concatenate([-by_camera @ cross_matrix(in_camera), -by_point], axis=2)
    by_lens = flat[:, :, None] * np.concatenate(
        [stretch, focal * radius2, focal * radius2**2], axis=1
    ).reshape(-1, 1, 3)
    return focal * stretch * flat - tracks.points, by_pose, by_lens, by_point


def _step(scene: Scene, tracks: Tracks, system: _System, damping: float) -> Scene | None:
    """Return the scene moved by one damped step, or nothing if the equations cannot be solved."""
    inverse = inverse_symmetric(_damped(system.pp, damping))
    outer = _solve(*_reduce(tracks, system, inverse, damping))
    if not np.isfinite(outer).all():
        return None
    poses, lens = outer[:-3].reshape(-1, 6), outer[-3:]
    starts = np.flatnonzero(np.diff(tracks.track, prepend=-1))
    by_poses = np.einsum("nij,ni->nj", system.cp, poses[tracks.photo])
    rest = system.p - np.add.reduceat(by_poses, starts) - np.einsum("nij,i->nj", system.lp, lens)
    return Scene(
        rotation_exp(poses[:, :3]) @ scene.rotations,
        scene.positions + poses[:, 3:],
        Lens(*(_lens_vector(scene.lens) + lens).tolist()),
        scene.points + np.einsum("nij,nj->ni", inverse, rest),
    )


def _solve(matrix: csc_matrix, target: Floats) -> Floats:
    """Solve the symmetric positive system; a fifth of it is filled where photos see only their neighbours."""
    try:
        factors = splu(
            matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError:  # exactly singular
        return np.full(len(target), np.nan)
    return np.asarray(factors.solve(target))


def _damped(blocks: Floats, damping: float) -> Floats:
    axes = np.arange(blocks.shape[-1])
    damped = blocks.copy()
    damped[..., axes, axes] += damping * damped[..., axes, axes] + 1e-9
    return damped


def _reduce(tracks: Tracks, system: _System, inverse: Floats, damping: float) -> tuple[csc_matrix, Floats]:
    """Return the (6 photos + 3) equations of poses and lens that are left when the points are eliminated."""
    photos = len(system.cc)
    solved = system.cp @ inverse[tracks.track]
    lens_solved = system.lp @ inverse
    photo_sum = _summing(tracks, photos)
    own = bsr_matrix((_damped(system.cc, damping), np.arange(photos), np.arange(photos + 1)))
    poses = own - _blocks(tracks, solved, system) @ _blocks(tracks, system.cp, system).T
    lens_points = np.swapaxes(system.lp, 1, 2)[tracks.track]
    side = (system.cl - _sum_rows(photo_sum, solved @ lens_points)).reshape(-1, 3)
    lens = _damped(system.ll, damping) - np.einsum("nij,nkj->ik", lens_solved, system.lp)
    matrix = block_array([[poses, side], [side.T, lens]], format="csc")
    pose_target = system.c - _sum_rows(photo_sum, solved @ system.p[tracks.track][:, :, None])[:, :, 0]
    lens_target = system.l - np.einsum("nij,nj->i", lens_solved, system.p)
    return matrix, np.concatenate([pose_target.ravel(), lens_target])


def _blocks(tracks: Tracks, blocks: Floats, system: _System) -> bsr_matrix:
    """Return (observations, 6, 3) blocks as the sparse matrix of photos by points."""
    order = np.argsort(tracks.photo, kind="stable")
    bounds = np.searchsorted(tracks.photo[order], np.arange(len(system.cc) + 1))
    shape = (6 * len(system.cc), 3 * len(system.pp))
    return bsr_matrix((blocks[order], tracks.track[order], bounds), shape=shape)
