"""The way a drone flies over a site: strip after strip, there and back, never quite straight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flightline.simulation.camera import Camera
from flightline.simulation.plan import ASPECT, FlightPlan
from odm_gateway.orthophoto.models import Floats, Lens, Pose

FOCAL_35MM = 26
_PHOTO_WIDTH_35MM = 36.0
_YAW_SIGMA_DEG = 2.0
_PLACE_SIGMA_M = (0.6, 0.6, 0.5)


def draw_camera(plan: FlightPlan, rng: np.random.Generator) -> Camera:
    """Draw a lens as a wide drone camera has it after its own correction."""
    focal = FOCAL_35MM / _PHOTO_WIDTH_35MM * (1 + rng.normal(0, 0.001))
    lens = Lens(focal, k1=-0.008 + rng.normal(0, 0.002), k2=0.006 + rng.normal(0, 0.002))
    return Camera(lens, plan.width, plan.height)


def draw_gps_bias(plan: FlightPlan, rng: np.random.Generator) -> Floats:
    """Draw the error (3,) that all GPS tags share, metres east, north and up."""
    bearing = rng.uniform(0, 2 * np.pi)
    return plan.gps_bias_m * np.array([np.sin(bearing), np.cos(bearing), rng.normal()])


def draw_poses(plan: FlightPlan, rng: np.random.Generator) -> tuple[Pose, ...]:
    """Lay strips over the site's origin and draw where each photo is really taken, and how."""
    bearing = np.deg2rad(rng.uniform(-12, 12))
    turn = np.array([[np.cos(bearing), -np.sin(bearing)], [np.sin(bearing), np.cos(bearing)]])
    poses = []
    for across_m, along_m, back in _stations(plan):
        east, north = np.array([across_m, along_m]) @ turn
        place = np.array([east, north, plan.altitude_m]) + rng.normal(0, _PLACE_SIGMA_M)
        yaw = bearing + np.pi * back + np.deg2rad(rng.normal(0, _YAW_SIGMA_DEG))
        tilts = np.deg2rad(rng.normal(0, plan.tilt_deg, 2))
        poses.append(Pose(_tilted(*tilts) @ looking_down(yaw), place))
    return tuple(poses)


def _stations(plan: FlightPlan) -> list[tuple[float, float, bool]]:
    """Return (metres across, metres along, flying back) of each photo, around the site's origin."""
    strips = max(round((plan.photos * 0.7) ** 0.5), 1)
    each = -(-plan.photos // strips)
    width_m = plan.altitude_m * _PHOTO_WIDTH_35MM / FOCAL_35MM
    across_m, along_m = width_m * (1 - plan.sidelap), width_m / ASPECT * (1 - plan.overlap)
    stations = []
    for number in range(plan.photos):
        strip, step = divmod(number, each)
        back = strip % 2 == 1
        along = (step - (each - 1) / 2) * along_m * (-1 if back else 1)
        stations.append(((strip - (strips - 1) / 2) * across_m, along, back))
    return stations


def looking_down(yaw: float) -> Floats:
    """Return the rotation (3, 3), world to camera, of a picture with ``yaw`` (radians) at its top."""
    sine, cosine = np.sin(yaw), np.cos(yaw)
    return np.array([[cosine, -sine, 0], [-sine, -cosine, 0], [0, 0, -1]])


def _tilted(about_x: float, about_y: float) -> Floats:
    tilt_x = [[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]]
    tilt_y = [[np.cos(about_y), 0, np.sin(about_y)], [0, 1, 0], [-np.sin(about_y), 0, np.cos(about_y)]]
    return np.array(tilt_x) @ np.array(tilt_y)


def yaw_and_pitch_deg(rotation: Floats) -> tuple[float, float]:
    """Return the grid bearing of the picture's top and the optical axis's pitch (-90 is down), degrees."""
    up_east, up_north = -rotation[1, :2]
    pitch = np.arcsin(np.clip(rotation[2, 2], -1, 1))
    return float(np.rad2deg(np.arctan2(up_east, up_north))), float(np.rad2deg(pitch))


def seconds_between(poses: Sequence[Pose], speed_m_s: float) -> Floats:
    """Return when each photo is taken, seconds after the first."""
    places = np.array([pose.position for pose in poses])
    legs_m = np.linalg.norm(np.diff(places, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(legs_m)]) / speed_m_s
