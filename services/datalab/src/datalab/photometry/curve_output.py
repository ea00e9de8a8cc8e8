"""Light curves by aperture photometry as clients get them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from datalab.operations.operation import OutputFile, Results
from datalab.photometry.aperture_curves import Curve, Point
from datalab.photometry.asking import ApertureInputs
from datalab.photometry.overlays import Circle, draw
from datalab.photometry.periods import find_period
from datalab.photometry.times import bjd_tdb

HEADING: Final = (
    "comparison star identifier | ra | dec | calculated flux | catalog flux | "
    "calculated magnitude | catalog magnitude"
)
SEEN_OFTEN: Final = 2
"""In so many images a source is at one place that is a star, and not the target."""
ROW: Final = "comparison-star validation row:"
"""By which clients know these lines among the remarks."""


def results(curve: Curve, inputs: ApertureInputs, extra: dict[str, Any]) -> Results:
    """Return a light curve with its comparison stars, remarks, period, and one picture for each image."""
    data = {
        **extra,
        "aperture_radius": inputs.aperture_radius,
        "annulus_inner_radius": inputs.annulus_inner_radius,
        "annulus_outer_radius": inputs.annulus_outer_radius,
        "filter": curve.look.band,
        "light_curve": [_row(point) for point in curve.points],
        "selected_comparison_stars": [_star(curve, int(star)) for star in curve.stars],
        "diagnostics": {point.target.image.basename: _remarks(curve, point) for point in curve.points},
        "pipeline_diagnostics": _about_all(curve),
        "flux_fallback": not curve.look.stars.is_calibrated,
        **curve.excluded.shown(),
        **_period(curve.points),
    }
    return Results(files=[_picture(point) for point in curve.points], data=[data])


def _row(point: Point) -> dict[str, Any]:
    target = point.target
    relative = target.counts / point.ensemble_counts
    relative_error = point.error / 2.5 * np.log(10) * relative
    return {
        "basename": target.image.basename,
        "fits_path": target.image.basename,
        "date_obs": target.begun,
        "observation_date": target.begun,
        "julian_date": target.image.middle_mjd + 2_400_000.5,
        "bjd_tdb": bjd_tdb(target.image.middle_mjd, target.image.ra, target.image.dec),
        "mag": point.magnitude,
        "magerr": point.error,
        "ra": target.image.ra,
        "dec": target.image.dec,
        "target_centroid_x": target.x,
        "target_centroid_y": target.y,
        "target_recentred": target.centred,
        "target_net_source_counts": target.counts,
        "target_source_uncertainty": target.error,
        "target_background_per_pixel": target.background,
        "target_peak": target.peak,
        "target_bad_pixels": target.bad_pixels,
        "comparison_ensemble_total_counts": point.ensemble_counts,
        "comparison_ensemble_uncertainty": point.ensemble_error,
        "comparison_stars": len(point.comparisons),
        "target_differential_flux": relative,
        "target_differential_flux_uncertainty": float(relative_error),
        "target_calibrated_apparent_magnitude": point.magnitude,
        "target_calibrated_apparent_magnitude_uncertainty": point.error,
        "zero_point": point.zero_point,
        "exposure_time": target.exposure_s,
        "airmass": target.airmass,
        "fwhm_px": target.fwhm_px,
    }


def _star(curve: Curve, star: int) -> dict[str, Any]:
    stars = curve.look.stars
    return {
        "candidate_id": _name(star),
        "ra": float(stars.ra[star]),
        "dec": float(stars.dec[star]),
        "catalog_magnitude": float(stars.magnitudes[star]),
        "ensemble_magnitude": float(curve.ranking.magnitudes[star]),
        "variability_score": float(curve.ranking.scatter[star]),
        "images": sum(int(star in point.comparisons) for point in curve.points),
    }


def _name(star: int) -> str:
    return f"C{star + 1}"


def _remarks(curve: Curve, point: Point) -> list[str]:
    stars, target = curve.look.stars, point.target
    said = [target.image.remark] if target.image.remark else []
    if not target.centred:
        said.append("The target's own centre was not found: its aperture is where it was expected.")
    if target.bad_pixels:
        said.append(f"{target.bad_pixels} bad pixels in the target's aperture were filled from around them.")
    if (star := _blended(curve, point)) is not None:
        said.append(f"The light of another star ({_name(star)}) is in the target's aperture.")
    said.append(HEADING)
    magnitudes = stars.magnitudes
    for star, counts in zip(point.comparisons, point.counts, strict=True):
        flux = 10 ** (-0.4 * (magnitudes[star] - point.zero_point)) * target.exposure_s
        calculated = point.zero_point - 2.5 * np.log10(counts / target.exposure_s)
        place = f"{stars.ra[star]:.6f} | {stars.dec[star]:.6f}"
        light = f"{counts:.1f} | {flux:.1f} | {calculated:.4f} | {magnitudes[star]:.4f}"
        said.append(f"{ROW} {_name(int(star))} | {place} | {light}")
    return said


def _blended(curve: Curve, point: Point) -> int | None:
    """Return the star that a moving target passes by."""
    stars, image = curve.look.stars, point.target.image
    if not curve.moves:
        return None
    near = stars.near(image.ra, image.dec, curve.aperture_arcsec)
    return next((int(star) for star in near if stars.seen[star] >= SEEN_OFTEN), None)


def _about_all(curve: Curve) -> list[str]:
    """Return what is true of the whole curve."""
    return [
        *curve.look.remarks,
        f"{len(curve.points)} images measured, {len(curve.excluded.reasons)} left out.",
        f"{len(curve.stars)} comparison stars of {len(curve.ranking.order)} that are steady.",
        *([] if curve.look.stars.is_calibrated else ["No image has a zero point: magnitudes are relative."]),
    ]


def _period(points: Sequence[Point]) -> dict[str, Any]:
    targets = [point.target.image for point in points]
    times = [bjd_tdb(image.middle_mjd, image.ra, image.dec) for image in targets]
    period = find_period(times, [point.magnitude for point in points], [point.error for point in points])
    return period.shown() if period else {}


def _picture(point: Point) -> OutputFile:
    target, radius = point.target, point.target.radii.aperture
    comparisons = [
        Circle(float(x), float(y), radius, _name(int(star)))
        for x, y, star in zip(point.x, point.y, point.comparisons, strict=True)
    ]
    path = draw(target.overlay, Circle(target.x, target.y, radius, "T"), comparisons)
    return OutputFile(
        diagnostic_jpg=path,
        comment=f"Apertures in {target.image.basename}",
        facts={"diagnostic_of": target.image.basename},
    )
