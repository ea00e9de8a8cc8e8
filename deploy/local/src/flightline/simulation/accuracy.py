"""How far a result is from the truth of a simulated flight.

GPS errors move, turn and stretch a block as a whole; what the engine itself does wrong is what is left when
that is taken away. So every answer has both: the whole's error, and the rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from flightline.simulation.camera import Camera
from flightline.simulation.patches import find_shifts
from flightline.simulation.truth import TrueSurface, Truth
from odm_gateway.orthophoto.models import Block, Floats

_MAD_TO_SIGMA = 1.4826
_COVERAGE_STRIDE = 4
_BLOCK_STRIDE = 12
_FEWEST_PATCHES = 10
"""A few patches of plain field are found anywhere."""


@dataclass(frozen=True, slots=True)
class CameraAccuracy:
    """Camera poses against the truth."""

    registered: int
    missing: tuple[str, ...]
    offset_m: tuple[float, float, float]
    """Mean error east, north, up."""
    std_m: tuple[float, float, float]
    """Standard deviation about the mean."""
    rotation_median_deg: float
    """Median angle between true and found rotation."""


@dataclass(frozen=True, slots=True)
class GroundAccuracy:
    """Places on the ground against the truth, horizontally."""

    points: int
    offset_m: tuple[float, float]
    """Error east, north in the middle of the points."""
    turn_deg: float
    """How far the whole is turned, counter-clockwise."""
    scale_error: float
    """How much too large the whole is: 0.01 is one per cent."""
    relative_median_m: float
    relative_p90_m: float
    """Of the lengths of the errors less offset, turn and scale."""
    rmse_m: float
    """Of the errors themselves."""
    coverage: float
    """Share of the ground seen by two photos or more for which there is an answer."""


@dataclass(frozen=True, slots=True)
class SurfaceAccuracy:
    """Heights against the truth."""

    median_m: float
    nmad_m: float
    """Normalised median absolute deviation about the median."""
    coverage: float


def compare_cameras(truth: Truth, shots_geojson: Path) -> CameraAccuracy:
    """Compare ODM's ``shots.geojson`` (``translation`` in the truth's UTM zone, ``rotation`` angle-axis)."""
    features = json.loads(shots_geojson.read_text(encoding="utf-8"))["features"]
    shots = {feature["properties"]["filename"]: feature["properties"] for feature in features}
    found = [photo for photo in truth.photos if photo.name in shots]
    errors = np.array([shots[p.name]["translation"] - (p.pose.position + truth.origin) for p in found])
    turns = [
        cv2.Rodrigues(np.array(shots[p.name]["rotation"], np.float64))[0] @ p.pose.rotation.T for p in found
    ]
    angles = np.rad2deg([np.linalg.norm(cv2.Rodrigues(turn)[0]) for turn in turns])
    missing = tuple(photo.name for photo in truth.photos if photo.name not in shots)
    east, north, up = errors.mean(axis=0).tolist()
    std_east, std_north, std_up = errors.std(axis=0).tolist()
    return CameraAccuracy(
        len(found), missing, (east, north, up), (std_east, std_north, std_up), float(np.median(angles))
    )


def compare_block(truth: Truth, block: Block) -> GroundAccuracy:
    """Image true ground points with the true cameras, and intersect the rays of the block's cameras."""
    surface = truth.surface()
    ground = _places(surface, surface.ground, _BLOCK_STRIDE)
    views = {photo.name: (photo.pose, truth.camera) for photo in truth.photos}
    camera = Camera(block.lens, truth.camera.width, truth.camera.height)
    normal, right, seen = (
        np.zeros((len(ground), 3, 3)),
        np.zeros((len(ground), 3)),
        np.zeros(len(ground), int),
    )
    for photo, pose in zip(block.photos, block.poses, strict=True):
        pixels = truth.camera.project(views[photo.name][0], ground)
        visible = _inside(truth.camera, pixels)
        rays = camera.rays(pixels[visible]) @ pose.rotation
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
        normal[visible] += across
        right[visible] += across @ pose.position
        seen[visible] += 1
    twice = seen >= 2  # noqa: PLR2004 - two rays meet
    met = np.linalg.solve(normal[twice], right[twice][..., None])[..., 0]
    errors = met + block.origin - truth.origin - ground[twice]
    possible = seen_by(truth, ground) >= 2  # noqa: PLR2004
    return _ground_accuracy(
        ground[twice, :2], errors[:, :2], float(twice.sum() / max(int(possible.sum()), 1))
    )


def compare_orthophoto(truth: Truth, orthophoto: Path, search_m: float = 3.0) -> GroundAccuracy:
    """Find patches of the true orthophoto in ``orthophoto``, at most ``search_m`` from their places.

    Raises:
        ValueError: ``orthophoto`` is in another coordinate system, or shows something else.
    """
    with rasterio.open(orthophoto) as result:
        _require_zone(truth, result)
        found, shifts = find_shifts(truth, result, search_m)
        if len(shifts) < _FEWEST_PATCHES:
            raise ValueError(f"{orthophoto.name} does not show what the true orthophoto shows.")
        valid = result.dataset_mask().astype(bool)
        places, covered = _covered(truth, result, valid)
    return _ground_accuracy(found, shifts, float(covered[seen_by(truth, places) >= 2].mean()))  # noqa: PLR2004


def compare_surface(truth: Truth, dsm: Path) -> SurfaceAccuracy:
    """Compare a single-band GeoTIFF of heights, in the truth's UTM zone.

    Raises:
        ValueError: ``dsm`` is in another coordinate system.
    """
    with rasterio.open(dsm) as result:
        _require_zone(truth, result)
        heights, valid = result.read(1), result.dataset_mask().astype(bool)
        places, covered = _covered(truth, result, valid)
        columns, rows = _pixels(truth, result, places[covered])
    twice = seen_by(truth, places) >= 2  # noqa: PLR2004
    errors = heights[rows, columns] - (places[covered, 2] + truth.origin[2])
    errors = errors[twice[covered]]
    median = float(np.median(errors))
    nmad = _MAD_TO_SIGMA * float(np.median(np.abs(errors - median)))
    return SurfaceAccuracy(median, nmad, float(covered[twice].mean()))


def seen_by(truth: Truth, points: Floats) -> NDArray[np.int64]:
    """Return in how many photos' frames each of ``points`` (n, 3) lies, hidden or not."""
    frames = [_inside(truth.camera, truth.camera.project(photo.pose, points)) for photo in truth.photos]
    return np.asarray(np.sum(frames, axis=0, dtype=np.int64))


def _inside(camera: Camera, pixels: Floats) -> NDArray[np.bool_]:
    return np.asarray(((pixels > 0) & (pixels < [camera.width, camera.height])).all(axis=1))


def _ground_accuracy(places: Floats, errors_m: Floats, coverage: float) -> GroundAccuracy:
    """Part the ``errors_m`` (n, 2) at ``places`` (n, 2) into a similarity and the rest."""
    place, error = (east_north[:, 0] + 1j * east_north[:, 1] for east_north in (places, errors_m))
    terms = np.column_stack([np.ones_like(place), place - place.mean()])
    rest = np.abs(error - np.median(error.real) - 1j * np.median(error.imag))
    for _ in range(3):
        trusted = rest <= 3 * np.median(rest)
        (offset, growth), *_ = np.linalg.lstsq(terms[trusted], error[trusted])
        rest = np.abs(error - terms @ [offset, growth])
    return GroundAccuracy(
        points=len(errors_m),
        offset_m=(float(offset.real), float(offset.imag)),
        turn_deg=float(np.rad2deg(growth.imag)),
        scale_error=float(growth.real),
        relative_median_m=float(np.median(rest)),
        relative_p90_m=float(np.quantile(rest, 0.9)),
        rmse_m=float(np.sqrt((errors_m**2).sum(axis=1).mean())),
        coverage=coverage,
    )


def _require_zone(truth: Truth, result: DatasetReader) -> None:
    if result.crs is None or result.crs.to_epsg() != truth.epsg:
        raise ValueError(f"Expected EPSG:{truth.epsg}, found {result.crs}.")


def _places(surface: TrueSurface, where: NDArray[np.bool_], stride: int) -> Floats:
    """Return points (n, 3) of the surface, every ``stride`` cells, in metres from the origin."""
    rows, columns = np.nonzero(where[::stride, ::stride])
    rows, columns = rows * stride, columns * stride
    grid = surface.grid
    east = grid.west_m + (columns + 0.5) * grid.cell_m
    north = grid.north_m - (rows + 0.5) * grid.cell_m
    return np.column_stack([east, north, surface.heights[rows, columns]])


def _covered(
    truth: Truth, result: DatasetReader, valid: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return points of the true surface, and whether ``result`` says something there."""
    surface = truth.surface()
    places = _places(surface, np.ones_like(surface.ground), _COVERAGE_STRIDE)
    columns, rows = _pixels(truth, result, places)
    covered = (columns >= 0) & (rows >= 0) & (columns < result.width) & (rows < result.height)
    covered[covered] = valid[rows[covered], columns[covered]]
    return places, covered


def _pixels(
    truth: Truth, result: DatasetReader, places: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return column and row of the pixels that ``places`` lie in."""
    to_pixels = np.array(~result.transform, np.float64).reshape(3, 3)
    columns, rows = np.floor((places[:, :2] + truth.origin[:2]) @ to_pixels[:2, :2].T + to_pixels[:2, 2]).T
    return columns.astype(np.int64), rows.astype(np.int64)
