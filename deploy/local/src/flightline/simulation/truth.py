"""What is really so about a simulated flight, and its file form.

``truth/`` beside the photos holds ``truth.json`` (lens, poses, GPS errors), ``surface.npz`` (heights, and
where the bare ground is) and ``ortho.gtiff``. The last is an ordinary GeoTIFF under a suffix that nothing
takes for a photo of the flight.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine

from flightline.simulation.camera import Camera
from flightline.simulation.canvas import Grid, Scene
from odm_gateway.orthophoto.models import Floats, Lens, Pose

FOLDER = "truth"
_JSON, _SURFACE, _ORTHO = "truth.json", "surface.npz", "ortho.gtiff"
_THINNING = 3
"""Every third cell of the scene goes into the surface; odd, so that centres stay centres."""


@dataclass(frozen=True, slots=True)
class PhotoTruth:
    """Where a photo was really taken, and by how much its GPS tag is wrong."""

    name: str
    pose: Pose
    """In metres from ``Truth.origin``."""
    gps_error_m: Floats
    """(3,) tag less truth: east, north, up; the bias included."""


@dataclass(frozen=True, slots=True)
class TrueSurface:
    """Heights of the scene on a grid, everything included that stands on the ground."""

    grid: Grid
    heights: NDArray[np.float32]
    """(rows, columns) metres from ``Truth.origin``."""
    ground: NDArray[np.bool_]
    """(rows, columns): no tree or house."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The exact lens and poses of a simulated flight, and where its surface and orthophoto are."""

    directory: Path
    epsg: int
    origin: Floats
    """(3,) easting, northing, altitude of the site, metres."""
    camera: Camera
    photos: tuple[PhotoTruth, ...]
    gps_bias_m: Floats
    """(3,) what all GPS tags have in common: east, north, up."""

    @property
    def orthophoto_path(self) -> Path:
        """The true orthophoto, an RGB GeoTIFF."""
        return self.directory / _ORTHO

    def surface(self) -> TrueSurface:
        """Read the true surface."""
        with np.load(self.directory / _SURFACE) as stored:
            heights = stored["heights"]
            west_m, north_m, cell_m = (float(stored[name]) for name in ("west_m", "north_m", "cell_m"))
            return TrueSurface(Grid(west_m, north_m, cell_m, *heights.shape), heights, stored["ground"])


def save_truth(truth: Truth, scene: Scene) -> None:
    """Write the truth and the scene into ``truth.directory``, which is made."""
    truth.directory.mkdir(parents=True, exist_ok=True)
    (truth.directory / _JSON).write_text(json.dumps(_to_json(truth), indent=1), encoding="utf-8")
    _save_surface(truth, scene)
    _save_orthophoto(truth, scene)


def load_truth(directory: Path) -> Truth:
    """Read the truth of the flight in ``directory`` (the folder with the photos)."""
    folder = directory / FOLDER
    stored = json.loads((folder / _JSON).read_text(encoding="utf-8"))
    origin = np.array(stored["origin"])
    lens = Lens(stored["lens"]["focal"], stored["lens"]["k1"], stored["lens"]["k2"])
    photos = tuple(
        PhotoTruth(
            photo["name"],
            Pose(np.array(photo["rotation"]), np.array(photo["position"]) - origin),
            np.array(photo["gps_error_m"]),
        )
        for photo in stored["photos"]
    )
    camera = Camera(lens, stored["width"], stored["height"])
    return Truth(folder, stored["epsg"], origin, camera, photos, np.array(stored["gps_bias_m"]))


def _to_json(truth: Truth) -> dict[str, object]:
    lens = truth.camera.lens
    return {
        "epsg": truth.epsg,
        "origin": truth.origin.tolist(),
        "width": truth.camera.width,
        "height": truth.camera.height,
        "lens": {"focal": lens.focal, "k1": lens.k1, "k2": lens.k2},
        "gps_bias_m": truth.gps_bias_m.tolist(),
        "photos": [
            {
                "name": photo.name,
                "position": (photo.pose.position + truth.origin).tolist(),
                "rotation": photo.pose.rotation.tolist(),
                "gps_error_m": photo.gps_error_m.tolist(),
            }
            for photo in truth.photos
        ],
    }


def _save_surface(truth: Truth, scene: Scene) -> None:
    grid = scene.grid
    thin = (slice(_THINNING // 2, None, _THINNING),) * 2
    whole = (slice(0, grid.rows // _THINNING), slice(0, grid.columns // _THINNING))
    np.savez(
        truth.directory / _SURFACE,
        heights=scene.heights[thin][whole],
        ground=scene.ground[thin][whole],
        west_m=grid.west_m,
        north_m=grid.north_m,
        cell_m=grid.cell_m * _THINNING,
    )


def _save_orthophoto(truth: Truth, scene: Scene) -> None:
    grid = scene.grid
    west, north = truth.origin[0] + grid.west_m, truth.origin[1] + grid.north_m
    with rasterio.open(
        truth.orthophoto_path,
        "w",
        driver="GTiff",
        width=grid.columns,
        height=grid.rows,
        count=3,
        dtype="uint8",
        crs=f"EPSG:{truth.epsg}",
        transform=Affine(grid.cell_m, 0, west, 0, -grid.cell_m, north),
        tiled=True,
        compress="deflate",
        zlevel=1,
        num_threads="all_cpus",
    ) as target:
        target.write(np.moveaxis(scene.colors, -1, 0))
