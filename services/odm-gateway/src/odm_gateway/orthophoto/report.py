"""The short report: what was mapped from which photos, how well, and what not to expect of it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from .pdf import PAGE_PT, Picture, Text, one_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from .stats import Run

LIMITS: Final = (
    "Absolute position is that of the drone's GPS (metres); there are no ground control points.",
    "Heights are indicative; the surface is sparse, so roof edges may ripple and tall trees appear twice.",
    "No correction of rolling shutter; no multispectral, oblique or multi-camera blocks.",
)
_MARGIN_PT: Final = 45
_LINE_PT: Final = 12
_WRAP: Final = 108
_LISTED: Final = 10
_PICTURE_PT: Final = (505, 330)


def facts(run: Run) -> list[tuple[str, str]]:
    """Return the report's figures, each with its name and unit."""
    block, canvas, residuals = run.block, run.canvas, run.block.gps_residuals
    return [
        ("Photos used", f"{len(block.photos)} of {run.photos_found}"),
        ("Area shown", f"{run.area_m2:,.0f} m² ({run.area_m2 / 10_000:.2f} ha)"),
        ("Photo pixel on the ground (GSD)", f"{run.photo_pixel_m * 100:.1f} cm"),
        (
            "Map",
            f"{canvas.width} x {canvas.height} pixels of {canvas.pixel_m * 100:.1f} cm, EPSG:{block.epsg}",
        ),
        (
            "Positions less GPS, rms",
            f"{residuals.east_m:.2f} m east, {residuals.north_m:.2f} m north, {residuals.up_m:.2f} m up",
        ),
        (
            "Reprojection error, rms",
            f"{block.reprojection_rms_px:.2f} pixels over {block.observations:,} rays",
        ),
        ("Sparse points", f"{len(block.points):,}"),
        (
            "Lens",
            f"focal {block.lens.focal:.4f} of the width, k1 {block.lens.k1:.4f}, k2 {block.lens.k2:.4f}",
        ),
        ("Processing time", f"{sum(run.seconds.values()):.0f} s"),
    ]


def left_out_lines(run: Run, listed: int) -> list[str]:
    """Return a line for each photo that takes no part, the first ``listed`` by name."""
    named = [f"{one.name} {one.reason}" for one in run.block.left_out[:listed]]
    more = len(run.block.left_out) - len(named)
    return [*named, f"and {more} more, listed in stats.json"] if more > 0 else named


def report_pdf(run: Run, preview: NDArray[np.uint8]) -> bytes:
    """Return a one-page PDF around ``(rows, columns, 4)`` RGBA of the map."""
    picture = _picture(preview)
    lines = [
        Text(_MARGIN_PT, PAGE_PT[1] - 55, 18, "Orthophoto report", bold=True),
        Text(_MARGIN_PT, PAGE_PT[1] - 72, 9, f"Finished {run.finished_at:%Y-%m-%d %H:%M} UTC. North is up."),
    ]
    top_pt = picture.y_pt - 20
    for name, value in facts(run):
        lines += [Text(_MARGIN_PT, top_pt, 9, name, bold=True), Text(_MARGIN_PT + 165, top_pt, 9, value)]
        top_pt -= _LINE_PT
    sections = [("Left out", left_out_lines(run, _LISTED)), ("Warnings", run.warnings), ("Limits", LIMITS)]
    lines += _sections(sections, top_pt - 6)
    return one_page(lines, picture)


def _sections(sections: Iterable[tuple[str, Sequence[str]]], top_pt: float) -> list[Text]:
    """Lay out titled lists from ``top_pt`` down; what does not fit on the page is left to stats.json."""
    lines: list[Text] = []
    for title, entries in sections:
        if not entries:
            continue
        lines.append(Text(_MARGIN_PT, top_pt, 9, title, bold=True))
        for row in (row for entry in entries for row in textwrap.wrap(entry, _WRAP, subsequent_indent="   ")):
            top_pt -= _LINE_PT - 1
            lines.append(Text(_MARGIN_PT + 8, top_pt, 8, row))
        top_pt -= _LINE_PT + 5
    return [line for line in lines if line.y_pt > _MARGIN_PT / 2]


def _picture(preview: NDArray[np.uint8]) -> Picture:
    """Lay the map on white and fit it under the title."""
    rows, columns = preview.shape[:2]
    alpha = preview[:, :, 3:].astype(np.float32) / 255
    white = np.rint(preview[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(white[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])
    scale = min(_PICTURE_PT[0] / columns, _PICTURE_PT[1] / rows)
    width_pt, height_pt = columns * scale, rows * scale
    left_pt = (PAGE_PT[0] - width_pt) / 2
    return Picture(jpeg.tobytes(), columns, rows, left_pt, PAGE_PT[1] - 85 - height_pt, width_pt, height_pt)
