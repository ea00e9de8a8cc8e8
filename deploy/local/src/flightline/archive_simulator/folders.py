"""Archives of folders: the frames in them, and what is known of a made-up night."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from astropy.io import fits

from flightline.archive_simulator.archive import ArchiveSimulator
from flightline.archive_simulator.gaia import Gaia, gaia_stars
from flightline.archive_simulator.night import PROPOSAL, Night, write_night

ENDS = (".fits.fz", ".fits.gz", ".fits", ".fit")
FACTS = "night.json"
MEMBERS = 80
"""Stars of the night that Gaia says to be a cluster."""
_FIELDS = {
    "primary_optical_element": ("FILTER", ""),
    "target_name": ("OBJECT", ""),
    "exposure_time": ("EXPTIME", 0.0),
    "instrument_id": ("INSTRUME", ""),
    "site_id": ("SITEID", ""),
    "telescope_id": ("TELID", ""),
    "reduction_level": ("RLEVEL", 0),
}
_KINDS = {"b00": "BIAS", "d00": "DARK", "f00": "SKYFLAT"}


def is_empty(folder: Path) -> bool:
    """Return whether a folder has no frames, or is not there."""
    return not frames_of(folder)


def frames_of(folder: Path) -> list[Path]:
    """Return the FITS files of a folder by name."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_file() and path.name.endswith(ENDS))


def make_night(folder: Path, night: Night, tell: Callable[[int, int], None] | None = None) -> None:
    """Write a night into a folder, and what is true of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".night-") as place:  # all of it or nothing
        for path in write_night(Path(place), night, tell):
            path.rename(folder / path.name)
    about = {"size_px": night.size_px, "seed": night.seed, **night.facts()}
    (folder / FACTS).write_text(json.dumps(about), encoding="utf-8")


def facts_of(folder: Path) -> dict[str, Any]:
    """Return what is true of the night in a folder; nothing where the frames are somebody's own."""
    path = folder / FACTS
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def add_frames(archive: ArchiveSimulator, folder: Path) -> None:
    """Put the frames of a folder into an archive, and Gaia's stars beside those of a made-up night."""
    for path in frames_of(folder):
        _add(archive, path)
    if facts := facts_of(folder):
        stars = Night(facts["size_px"], facts["seed"]).stars
        archive.tap = Gaia(gaia_stars(stars["ra"], stars["dec"], members=MEMBERS))


def _add(archive: ArchiveSimulator, path: Path) -> None:
    basename = next(path.name.removesuffix(end) for end in ENDS if path.name.endswith(end))
    header = _header(path)
    proposal = header.get("PROPID")
    fields = {name: header.get(key, default) for name, (key, default) in _FIELDS.items()}
    archive.add(
        basename,
        path,
        proposal=PROPOSAL if proposal == PROPOSAL else None,
        headers={name: header[name] for name in header if name and _is_plain(header[name])},
        filename=path.name,
        observation_date=_date(header),
        configuration_type=_KINDS.get(basename[-3:], "EXPOSE"),
        **fields,
    )


def _header(path: Path) -> fits.Header:
    """Return the header of the first image."""
    try:
        with fits.open(path) as units:
            return next((unit.header for unit in units if unit.header.get("NAXIS", 0) > 1), units[0].header)
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error}") from error


def _date(header: fits.Header) -> str:
    try:
        taken = datetime.fromisoformat(str(header.get("DATE-OBS", "")))
    except ValueError:
        taken = datetime(1970, 1, 1, tzinfo=UTC)
    return taken.replace(tzinfo=None).isoformat() + "Z"


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool | int | float)
