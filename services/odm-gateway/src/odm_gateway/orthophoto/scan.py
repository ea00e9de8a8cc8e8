"""Which files of a folder can take part in a block."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from .exif import read_photo
from .image_header import BadImageError
from .models import EngineError, LeftOut

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .models import Photo, Progress
    from .options import EngineOptions

FEWEST_PHOTOS: Final = 3
_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
_Camera = tuple[str, str, int, int, float]
_NO_TIME: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scan:
    """Photos by one camera in the order they were taken, and the files that were passed over."""

    photos: tuple[Photo, ...]
    left_out: tuple[LeftOut, ...]


def scan_folder(folder: Path, options: EngineOptions, progress: Progress) -> Scan:
    """Find the photos of ``folder`` that carry a position and come from its commonest camera.

    Raises:
        EngineError: ``TOO_FEW_IMAGES`` or ``NO_GPS``.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    photos: list[Photo] = []
    left_out: list[LeftOut] = []
    for number, path in enumerate(paths):
        progress("scan", 2.0 * number / len(paths))
        try:
            photos.append(read_photo(path, options.max_photo_megapixels))
        except BadImageError as error:
            left_out.append(LeftOut(path.name, error.code, error.reason))
        except OSError as error:
            left_out.append(LeftOut(path.name, "not_an_image", f"cannot be read: {error.strerror}"))
    kept, others = _commonest_camera(photos)
    _check(kept, [*left_out, *others], len(paths))
    progress("scan", 2.0, f"{len(kept)} of {len(paths)} photos can be used")
    return Scan(tuple(sorted(kept, key=_when)), (*left_out, *others))


def _when(photo: Photo) -> tuple[datetime, str]:
    return photo.taken_at or _NO_TIME, photo.name


def _camera(photo: Photo) -> _Camera:
    return photo.make, photo.model, photo.width, photo.height, round(photo.focal_ratio, 2)


def _commonest_camera(photos: Sequence[Photo]) -> tuple[list[Photo], list[LeftOut]]:
    """Part the photos by make, model, size and zoom: one lens model can describe only one of these groups."""
    if not photos:
        return [], []
    cameras = [_camera(photo) for photo in photos]
    commonest = Counter(cameras).most_common(1)[0][0]
    kept = [photo for photo, camera in zip(photos, cameras, strict=True) if camera == commonest]
    others = [
        LeftOut(
            photo.name,
            "other_camera",
            f"comes from {_describe(camera)}, most come from {_describe(commonest)}",
        )
        for photo, camera in zip(photos, cameras, strict=True)
        if camera != commonest
    ]
    return kept, others


def _describe(camera: _Camera) -> str:
    make, model, width, height, focal = camera
    name = model if model.startswith(make) else f"{make} {model}"
    return f"{name} ({width} x {height}, focal ratio {focal})"


def _check(kept: Sequence[Photo], left_out: Sequence[LeftOut], found: int) -> None:
    if len(kept) >= FEWEST_PHOTOS:
        return
    lacking = sum(one.code == "no_gps" for one in left_out)
    if found >= FEWEST_PHOTOS and lacking >= found - len(kept) - FEWEST_PHOTOS + 1 and lacking:
        raise EngineError(
            "NO_GPS",
            f"Only {found - lacking} of {found} photos carry a GPS position, and at least {FEWEST_PHOTOS} "
            "must. Use photos with positions, or ODM itself with ground control points.",
        )
    why = "; ".join(f"{one.name} {one.reason}" for one in left_out[:5])
    raise EngineError(
        "TOO_FEW_IMAGES",
        f"{len(kept)} usable photos found among {found} image files, but at least {FEWEST_PHOTOS} are needed "
        f"and 5 or more advised{': ' + why if why else ''}.",
    )
