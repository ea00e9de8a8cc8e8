"""Light curves by aperture photometry: a target against an ensemble of comparison stars, image by image.

Images are held one at a time. In each the target and the field's stars are measured; from all images together
the steadiest stars are chosen; the target's magnitude is the ensemble's, and how much brighter it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datalab.operations.operation import OperationError, Work
from datalab.photometry.apertures import Radii, Stars, measure
from datalab.photometry.asking import ApertureInputs
from datalab.photometry.comparisons import MeasuredStars, Ranking, rank
from datalab.photometry.exclusions import Exclusions
from datalab.photometry.exposures import Exposure, Numbers, exposure
from datalab.photometry.field_stars import MOST_OF_SATURATION, FieldStars
from datalab.photometry.looking import Look, Looked, first_look
from datalab.photometry.noise import Noise
from datalab.photometry.overlays import Overlay, keep_picture
from datalab.photometry.reading import pixels_of
from datalab.photometry.sources import MAGNITUDE_OF_RELATIVE
from datalab.photometry.targets import Target

MOST_MEASURED: Final = 400
"""Stars of an image, the brightest: comparison stars are chosen among them."""
MOST_SHIFT_PX: Final = 6.0
"""Of a target's centre from where it is expected; farther is another source's light."""
LEAST_SNR: Final = 10.0
"""Of a comparison star."""
_SIGMA_OF_FWHM: Final = 1 / 2.3548


@dataclass(frozen=True)
class TargetMeasured:
    """The target in one image."""

    image: Looked
    begun: str
    exposure_s: float
    airmass: float | None
    fwhm_px: float
    x: float
    y: float
    centred: bool
    counts: float
    error: float
    background: float
    peak: float
    bad_pixels: int
    radii: Radii
    overlay: Overlay


@dataclass(frozen=True)
class Point:
    """One point of a light curve."""

    target: TargetMeasured
    comparisons: NDArray[np.intp]
    """Places in the list of all stars."""
    counts: Numbers
    """Of the comparison stars."""
    x: Numbers
    y: Numbers
    ensemble_error: float
    magnitude: float
    error: float
    zero_point: float
    """Magnitude of one count a second."""

    @property
    def ensemble_counts(self) -> float:
        """Return the light of all comparison stars."""
        return float(self.counts.sum())


@dataclass(frozen=True)
class Curve:
    """A light curve, and what it was made from."""

    points: Sequence[Point]
    look: Look
    ranking: Ranking
    stars: NDArray[np.intp]
    """Stars that the target was compared with in at least one image."""
    excluded: Exclusions
    aperture_arcsec: float
    moves: bool
    """Whether the target does."""


def aperture_curve(target: Target, inputs: ApertureInputs, work: Work) -> Curve:
    """Measure a target in all images.

    Raises:
        OperationError: The images have several filters, none can be measured, or stars to compare with lack.
    """
    excluded = Exclusions()
    look = first_look(target, inputs.input_files, inputs.aperture_radius, work, excluded)
    candidates = _candidates(look.stars, target, len(look.images), inputs.min_comparisons)
    targets: list[TargetMeasured] = []
    measured: list[MeasuredStars] = []
    for done, image in enumerate(look.images, 1):
        with excluded.without(image.basename):
            own, others = _measured(image, candidates, look.stars, inputs, work)
            targets.append(own)
            measured.append(others)
        work.progress(0.2 + 0.65 * done / len(look.images))
    if not targets:
        raise excluded.nothing_left("The target could not be measured in any image")
    ranking = rank(measured, look.stars.magnitudes, in_most_images=not target.moves)
    points = _points(targets, measured, ranking, inputs, excluded, moves=target.moves)
    if not points:
        raise excluded.nothing_left("No image has enough stars to compare the target with")
    used = np.unique(np.concatenate([point.comparisons for point in points]))
    stars = ranking.order[np.isin(ranking.order, used)]
    return Curve(points, look, ranking, stars, excluded, inputs.aperture_radius, target.moves)


def _candidates(stars: FieldStars, target: Target, images: int, least: int) -> NDArray[np.intp]:
    often = min(2, images) if target.moves else int(np.ceil(0.5 * images))
    candidates = stars.fit_to_compare(often)
    if len(candidates) < least:
        raise OperationError(
            f"Only {len(candidates)} stars of these images are fit to compare with (single, unsaturated, "
            f"with magnitudes), where at least {least} are asked for."
        )
    return candidates


def _measured(
    image: Looked, candidates: NDArray[np.intp], stars: FieldStars, inputs: ApertureInputs, work: Work
) -> tuple[TargetMeasured, MeasuredStars]:
    values, header = pixels_of(image.path, image.basename)
    seen = exposure(image.basename, header, values.shape)
    scale = seen.pixel_scale_arcsec
    radii = Radii(
        inputs.aperture_radius / scale,
        inputs.annulus_inner_radius / scale,
        inputs.annulus_outer_radius / scale,
    )
    target_x, target_y = (float(value) for value in seen.pixels(image.ra, image.dec))
    _must_be_inside(target_x, target_y, radii.aperture, seen.shape)
    x, y = seen.pixels(stars.ra[candidates], stars.dec[candidates])
    usable = _inside(x, y, radii.aperture + MOST_SHIFT_PX, seen.shape)
    usable &= np.hypot(x - target_x, y - target_y) > 2 * radii.aperture
    chosen = np.flatnonzero(usable)[:MOST_MEASURED]
    found = measure(
        values,
        None,
        np.append(target_x, x[chosen]),
        np.append(target_y, y[chosen]),
        radii,
        Noise.of(seen),
        window_sigma_px=seen.fwhm_px * _SIGMA_OF_FWHM,
        most_shift_px=min(MOST_SHIFT_PX, max(2.0, radii.aperture / 2)),
    )
    overlay = keep_picture(values, work.folder, image.basename)
    own = _target(image, seen, found, radii, overlay)
    return own, _others(found, candidates[chosen], seen)


def _radii(inputs: ApertureInputs, seen: Exposure) -> Radii:
    scale = seen.pixel_scale_arcsec
    aperture, inner, outer = inputs.aperture_radius, inputs.annulus_inner_radius, inputs.annulus_outer_radius
    if not outer / scale < max(seen.shape):
        raise OperationError("the annulus is larger than the image")
    return Radii(aperture / scale, inner / scale, outer / scale)


def _target(image: Looked, seen: Exposure, found: Stars, radii: Radii, overlay: Overlay) -> TargetMeasured:
    counts, error = float(found.counts[0]), float(found.error[0])
    if not np.isfinite(counts):
        raise OperationError("the target cannot be measured: bad pixels, or no background around it")
    if found.peak[0] >= seen.saturation:
        raise OperationError("the target is saturated")
    if counts <= 0 or not error > 0:
        raise OperationError("the target is not brighter than the background")
    return TargetMeasured(
        image=image,
        begun=seen.begun,
        exposure_s=seen.exposure_s,
        airmass=seen.airmass,
        fwhm_px=seen.fwhm_px,
        x=float(found.x[0]),
        y=float(found.y[0]),
        centred=bool(found.centred[0]),
        counts=counts,
        error=error,
        background=float(found.background[0]),
        peak=float(found.peak[0]),
        bad_pixels=int(found.bad_pixels[0]),
        radii=radii,
        overlay=overlay,
    )


def _others(found: Stars, stars: NDArray[np.intp], seen: Exposure) -> MeasuredStars:
    counts, error = found.counts[1:], found.error[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        good = (
            found.centred[1:]
            & (counts > LEAST_SNR * error)
            & ~(found.peak[1:] > MOST_OF_SATURATION * seen.saturation)
        )
    return MeasuredStars(
        stars[good],
        counts[good],
        error[good],
        found.x[1:][good],
        found.y[1:][good],
        seen.exposure_s,
    )


def _inside(x: Numbers, y: Numbers, margin: float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    low, right, top = margin - 0.5, shape[1] - 0.5 - margin, shape[0] - 0.5 - margin
    inside: NDArray[np.bool_] = (x >= low) & (y >= low) & (x <= right) & (y <= top)
    return inside


def _must_be_inside(x: float, y: float, radius: float, shape: tuple[int, int]) -> None:
    if not _inside(np.array(x), np.array(y), 0.0, shape):
        raise OperationError("the target is outside the image")
    if not _inside(np.array(x), np.array(y), radius, shape):
        raise OperationError("the target is too near to the image's edge for its aperture")


def _points(
    targets: Sequence[TargetMeasured],
    measured: Sequence[MeasuredStars],
    ranking: Ranking,
    inputs: ApertureInputs,
    excluded: Exclusions,
    *,
    moves: bool,
) -> list[Point]:
    points = []
    for target, others in zip(targets, measured, strict=True):
        order = ranking.order if moves else ranking.best(inputs.max_comparisons)
        here = order[np.isin(order, others.stars)][: inputs.max_comparisons]
        if len(here) < inputs.min_comparisons:
            excluded.add(
                target.image.basename,
                f"only {len(here)} stars to compare with; {inputs.min_comparisons} are asked for",
            )
            continue
        points.append(_point(target, others, here, ranking))
    return points


def _point(target: TargetMeasured, others: MeasuredStars, here: NDArray[np.intp], ranking: Ranking) -> Point:
    order = np.argsort(others.stars)
    at = order[np.searchsorted(others.stars, here, sorter=order)]
    counts, error = others.counts[at], others.error[at]
    total, ensemble_error = float(counts.sum()), float(np.sqrt((error**2).sum()))
    ensemble_mag = -2.5 * float(np.log10((10 ** (-0.4 * ranking.magnitudes[here])).sum()))
    relative_error = float(np.hypot(target.error / target.counts, ensemble_error / total))
    return Point(
        target=target,
        comparisons=here,
        counts=counts,
        x=others.x[at],
        y=others.y[at],
        ensemble_error=ensemble_error,
        magnitude=ensemble_mag - 2.5 * float(np.log10(target.counts / total)),
        error=float(MAGNITUDE_OF_RELATIVE) * relative_error,
        zero_point=ensemble_mag + 2.5 * float(np.log10(total / others.exposure_s)),
    )
