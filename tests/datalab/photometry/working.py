"""Operations run on files of a folder, as a worker runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from datalab.operations.operation import Results
from tests.datalab.operations.working import FolderWork
from tests.support.star_fields import TAKEN_AT, Field, star_field, write_series

SCALE_ARCSEC = 1.5
APERTURES: dict[str, Any] = {
    "aperture_radius": 9.0,
    "annulus_inner_radius": 13.5,
    "annulus_outer_radius": 24.0,
}


def run(operation: Any, folder: Path, settings: Mapping[str, str] | None = None, **asked: Any) -> Results:
    """Run an operation on files of a folder; its own files go beside."""
    results = folder / "results"
    results.mkdir(exist_ok=True)
    work = FolderWork(folder, results, settings or {})
    computed: Results = operation.compute(operation.inputs.model_validate(asked), work)
    assert work.told == sorted(work.told)
    assert all(0 <= done <= 1 for done in work.told)
    return computed


def refs(paths: Sequence[Path]) -> list[dict[str, str]]:
    return [{"basename": path.name, "source": "archive"} for path in paths]


def night(count: int, minutes: float = 20.0, **how: Any) -> list[Field]:
    """Expose one sky some times, a little shifted each time."""
    sky: dict[str, Any] = {
        "stars": 30,
        "separation_px": 26.0,
        "pixel_scale_arcsec": SCALE_ARCSEC,
        "magnitudes": (12.5, 15.5),
        "seed": 11,
        **how,
    }
    return [
        star_field(
            exposure=number,
            date_obs=TAKEN_AT + timedelta(minutes=minutes * number),
            shift=(0.37 * number % 2, -0.21 * number),
            **sky,
        )
        for number in range(count)
    ]


def written(folder: Path, fields: Sequence[Field], **how: Any) -> list[Path]:
    """Write exposures, plainly since that is quick."""
    return write_series(folder, fields, **{"compress": None, "err": False, **how})
