"""What the user is told: refusals with numbers and advice, and warnings about what can be mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from .models import EngineError
from .scan import FEWEST_PHOTOS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .features import Features
    from .models import Block, Floats, Photo
    from .settled import Settled

_FEWEST_FEATURES: Final = 100
_SMALLEST_EXTENT_M: Final = 1.0
_REFUSED_SHARE: Final = 0.5
_FEW_SHARE: Final = 0.8
_BLURRED: Final = 0.04
_ROUGH_GPS_SHARE: Final = 0.12
_OBLIQUE_DEG: Final = 30.0
_MANY_PHOTOS: Final = 600
_VAGUE_FOCAL: Final = 0.05
_NAMED: Final = 10


def check_features(features: Sequence[Features]) -> None:
    """Refuse photos with hardly anything to recognise in them.

    Raises:
        EngineError: ``TOO_FEW_IMAGES`` or ``NO_TEXTURE``.
    """
    if len(features) < FEWEST_PHOTOS:
        raise EngineError(
            "TOO_FEW_IMAGES",
            f"Only {len(features)} photos could be decoded, but at least {FEWEST_PHOTOS} are needed.",
        )
    counts = np.array([len(one.points) for one in features])
    textured = int(np.sum(counts >= _FEWEST_FEATURES))
    if textured < FEWEST_PHOTOS:
        raise EngineError(
            "NO_TEXTURE",
            f"Only {textured} of {len(counts)} photos show {_FEWEST_FEATURES} or more distinct points "
            f"(median {np.median(counts):.0f}). Water, snow, fog and heavy blur cannot be mapped.",
        )


def check_positions(gps: Floats) -> None:
    """Refuse photos that a receiver without a fix all put into one place.

    Raises:
        EngineError: ``NO_GPS``.
    """
    extent_m = float(np.ptp(gps[:, :2], axis=0).max())
    if extent_m < _SMALLEST_EXTENT_M:
        raise EngineError(
            "NO_GPS",
            f"All {len(gps)} photos carry the same GPS position (within {extent_m:.1f} m), so neither scale "
            "nor direction can be known. Use photos with positions of their own.",
        )


def check_group(sizes: Sequence[int], found: int) -> None:
    """Refuse photos that do not hang together.

    Args:
        sizes: Photos in each group linked by overlap, falling.
        found: How many photos there were.

    Raises:
        EngineError: ``NO_OVERLAP``.
    """
    if sizes[0] >= FEWEST_PHOTOS and sizes[0] >= _REFUSED_SHARE * found:
        return
    groups = ", ".join(map(str, sizes[:_NAMED])) + (", …" if len(sizes) > _NAMED else "")
    raise EngineError(
        "NO_OVERLAP",
        f"Only {sizes[0]} of {found} photos overlap enough to be joined (groups of {groups}). Fly with "
        "70 % or more overlap along and between the lines, or process the sites one by one.",
    )


def check_settled(settled: Settled, photos: Sequence[Photo], found: int) -> None:
    """Refuse a block most of whose photos have no plausible pose.

    Raises:
        EngineError: ``UNSTABLE``.
    """
    count = len(settled.photos)
    if count >= FEWEST_PHOTOS and count >= _REFUSED_SHARE * found:
        return
    named = "; ".join(f"{photos[index].name} {why}" for index, why in list(settled.dropped.items())[:_NAMED])
    raise EngineError(
        "UNSTABLE",
        f"Only {count} of {found} photos could be placed reliably: {named}. Use sharp photos that look "
        "straight down and overlap by 70 % or more.",
    )


def warnings_of(block: Block, *, vertical_gps: bool) -> tuple[str, ...]:
    """Return what the user should know before trusting the map."""
    found = (
        _placed_warning(block),
        _camera_warning(block),
        _gps_warning(block),
        _blur_warning(block),
        _view_warning(block),
        None
        if vertical_gps
        else "GPS altitudes are missing or contradict each other: heights are only relative.",
        f"{len(block.photos)} photos are more than this engine is meant for (about {_MANY_PHOTOS})."
        if len(block.photos) > _MANY_PHOTOS
        else None,
    )
    return tuple(warning for warning in found if warning)


def _placed_warning(block: Block) -> str | None:
    missing = [one for one in block.left_out if one.code in {"unconnected", "unsettled"}]
    if not missing:
        return None
    total = len(block.photos) + len(missing)
    names = ", ".join(one.name for one in missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
    advice = " The map has gaps; fly with more overlap." if len(block.photos) < _FEW_SHARE * total else ""
    return f"{len(missing)} of {total} photos could not be joined to the block: {names}.{advice}"


def _camera_warning(block: Block) -> str | None:
    others = sum(one.code == "other_camera" for one in block.left_out)
    if others:
        return f"Photos of another camera, zoom or size were ignored: {others}."
    if block.photos[0].focal_sigma >= _VAGUE_FOCAL:
        return (
            "The focal length is not in the photos' metadata and was estimated: heights may be out of scale."
        )
    return None


def _gps_warning(block: Block) -> str | None:
    height = _flying_height_m(block)
    plan = float(np.hypot(block.gps_residuals.east_m, block.gps_residuals.north_m))
    if plan < _ROUGH_GPS_SHARE * height:
        return None
    return f"GPS positions disagree with the photos: expect the map to be off by about ±{plan:.0f} m."


def _blur_warning(block: Block) -> str | None:
    blurred = sum(sharpness < _BLURRED for sharpness in block.sharpness)
    if 2 * blurred < len(block.photos):
        return None
    return f"{blurred} of {len(block.photos)} photos look blurred: positions may be off by metres."


def _view_warning(block: Block) -> str | None:
    down = np.array([-pose.rotation[2, 2] for pose in block.poses])
    tilt = float(np.degrees(np.mean(np.arccos(np.clip(down, -1, 1)))))
    if tilt < _OBLIQUE_DEG:
        return None
    return f"The camera was tilted by {tilt:.0f} degrees on average: walls and far edges will be smeared."


def _flying_height_m(block: Block) -> float:
    ground = np.median(block.points[:, 2])
    return float(np.median([pose.position[2] for pose in block.poses]) - ground)
