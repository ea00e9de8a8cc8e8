"""The sources of an image, for a display of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from datalab.analysis.display import DisplayedAsk
from datalab.photometry.exposures import Exposure, number
from datalab.photometry.reading import look, sources
from datalab.photometry.sources import Sources

MOST_SOURCES: Final = 1000
"""The brightest."""


class SourceCatalogAsk(DisplayedAsk):
    """Which file, and how large it is displayed."""


ASK = SourceCatalogAsk


def answer(path: Path, ask: SourceCatalogAsk) -> dict[str, Any]:
    """Return the sources, the brightest first, as ``sources``.

    Raises:
        OperationError: The file is no image, or has neither a catalogue nor sources.
    """
    image = look(path, ask.basename)
    found = sources(path, image)[:MOST_SOURCES]
    return {"sources": [_shown(found, star, ask, image) for star in range(len(found))]}


def _shown(found: Sources, star: int, ask: SourceCatalogAsk, image: Exposure) -> dict[str, Any]:
    x, y = ask.to_display(float(found.x[star]), float(found.y[star]), image.shape)
    shown: dict[str, Any] = {
        "x_win": round(x, 3),
        "y_win": round(y, 3),
        "x": round(x, 3),
        "y": round(y, 3),
        "flux": int(found.flux[star]),
        "mag": number(found.mag[star]),
        "magerr": number(found.magerr[star]),
        "flux_fallback": not found.calibrated,
    }
    if np.isfinite(found.ra[star]):
        shown |= {"ra": f"{found.ra[star]:.6f}", "dec": f"{found.dec[star]:.6f}"}
    return shown
