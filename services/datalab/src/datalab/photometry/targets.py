"""Where a target is expected in an image: at one place, where the header says, or on a track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from astropy import units
from astropy.coordinates import Angle
from astropy.io.fits import Header

from datalab.operations.operation import OperationError
from datalab.photometry.asking import TargetPosition
from datalab.photometry.exposures import Exposure, number
from datalab.photometry.matching import separation_arcsec
from datalab.photometry.tracks import LONGEST_LINE_H, Track

NOT_FOLLOWED: Final = (
    "CAT-RA and CAT-DEC are the same in all images: the telescope followed the stars, not a moving target. "
    "If it moves, use Moving Target Aperture Photometry."
)


class Target(Protocol):
    """What is measured."""

    @property
    def search_radius_arcsec(self) -> float:
        """Return how far from where it is expected its own source is looked for; 0: not at all."""

    @property
    def moves(self) -> bool:
        """Return whether it moves among the stars, so that these need not be the same in all images."""

    def expected(self, image: Exposure) -> tuple[float, float]:
        """Return its right ascension and declination in an image, in degrees.

        Raises:
            OperationError: That image does not say.
        """

    def remarks(self, images_mjd: Sequence[float], places: Sequence[tuple[float, float]]) -> list[str]:
        """Return what users should know of how it was found."""


@dataclass(frozen=True)
class FixedTarget:
    """A star."""

    ra: float
    dec: float
    search_radius_arcsec: float = 0.0
    moves: bool = False

    def expected(self, image: Exposure) -> tuple[float, float]:  # noqa: ARG002
        """Return where it always is."""
        return self.ra, self.dec

    def remarks(
        self,
        images_mjd: Sequence[float],  # noqa: ARG002
        places: Sequence[tuple[float, float]],  # noqa: ARG002
    ) -> list[str]:
        """Return nothing."""
        return []


@dataclass(frozen=True)
class HeaderTarget:
    """Something that the telescope followed: the header says where it was (CAT-RA, CAT-DEC)."""

    search_radius_arcsec: float = 0.0
    moves: bool = True

    def expected(self, image: Exposure) -> tuple[float, float]:
        """Return what the header says."""
        return (
            _angle(image.header, "CAT-RA", units.hourangle) % 360.0,
            _angle(image.header, "CAT-DEC", units.deg),
        )

    def remarks(self, images_mjd: Sequence[float], places: Sequence[tuple[float, float]]) -> list[str]:
        """Say if it did not move at all: then the telescope may have followed the stars."""
        return [NOT_FOLLOWED] if len(images_mjd) > 1 and len(set(places)) == 1 else []


@dataclass(frozen=True)
class TrackTarget:
    """Something that was seen at some times and moves smoothly between them."""

    track: Track
    search_radius_arcsec: float
    moves: bool = True

    def expected(self, image: Exposure) -> tuple[float, float]:
        """Return where the track is in the middle of the exposure."""
        return self.track.at(image.middle_mjd)

    def remarks(
        self,
        images_mjd: Sequence[float],
        places: Sequence[tuple[float, float]],  # noqa: ARG002
    ) -> list[str]:
        """Say what the track is like, and how far it can be trusted."""
        track = self.track
        hours = (track.last_mjd - track.first_mjd) * 24
        rate = f"{track.rate_arcsec_per_min:.3f} arcsec/min"
        said = [f"The track is of order {track.order} over {hours:.2f} h, {rate}."]
        outside = sum(not track.covers(mjd) for mjd in images_mjd)
        if outside:
            said.append(f"{outside} images are of before the first or after the last position.")
        if track.order == 1 and hours > LONGEST_LINE_H:
            said.append("A straight line is not enough for so long: mark the target a third time in between.")
        return said


def fixed_target(positions: Sequence[TargetPosition], apart_arcsec: float) -> FixedTarget:
    """Return the star that was marked, once or several times.

    Raises:
        OperationError: The marks are farther apart than ``apart_arcsec``.
    """
    first = positions[0]
    others = [one.ra for one in positions], [one.dec for one in positions]
    apart = separation_arcsec(first.ra, first.dec, *others)
    if apart.max() > apart_arcsec:
        raise OperationError(
            f'The target positions are up to {apart.max():.1f}" apart. What moves is measured by Moving '
            "Target Aperture Photometry."
        )
    turns = np.array([(one.ra - first.ra + 180) % 360 - 180 for one in positions])
    return FixedTarget(float((first.ra + turns.mean()) % 360), float(np.mean([one.dec for one in positions])))


def _angle(header: Header, key: str, sexagesimal: units.UnitBase) -> float:
    value = header.get(key)
    if (degrees := number(value)) is not None:
        return degrees
    try:
        return float(Angle(str(value), unit=sexagesimal).deg)
    except ValueError as error:
        raise OperationError(f"the header does not say where the target was ({key})") from error
