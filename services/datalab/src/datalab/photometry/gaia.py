"""Gaia's stars around a place, asked over TAP (IVOA Table Access Protocol 1.1), synchronously."""

from __future__ import annotations

import io
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, Final

import numpy as np
from astropy.io.votable import parse
from astropy.io.votable.tree import TableElement, VOTableFile

from datalab.operations.operation import OperationError
from datalab.photometry.exposures import Numbers
from datalab.photometry.sources import MAGNITUDE_OF_RELATIVE

TAP_URL: Final = "https://gea.esac.esa.int/tap-server/tap"
TIME_LIMIT_S: Final = 120.0
CONNECT_LIMIT_S: Final = 20.0
ANSWER_AT_MOST_BYTES: Final = 64 << 20
MOST_STARS: Final = 50_000
RUWE_LIMIT: Final = 1.4
"""Above, the astrometric solution is not that of a single star."""
PARALLAX_ZERO_POINT_MAS: Final = 0.017
"""By which parallaxes are too small in the mean (Lindegren et al. 2021)."""
SYNTHETIC_FLOOR_MAG: Final = 0.03
"""Of synthetic magnitudes: what the SDSS system differs from that of the images."""
BANDS: Final = {"gp": "g_sdss", "rp": "r_sdss", "ip": "i_sdss", "zs": "z_sdss"}
_ASTROMETRY: Final = (
    "ra",
    "dec",
    "pmra",
    "pmra_error",
    "pmdec",
    "pmdec_error",
    "parallax",
    "parallax_error",
    "phot_g_mean_mag",
)
_DISTANCES: Final = ("r_med_geo", "r_lo_geo", "r_hi_geo")
_CHUNK_BYTES: Final = 1 << 16
_UNREACHABLE: Final = "Gaia's archive cannot be asked at the moment"


@dataclass(frozen=True)
class GaiaStars:
    """Stars of Gaia DR3 with distances (Bailer-Jones 2021) and synthetic magnitudes; NaN where unknown."""

    columns: Mapping[str, Numbers]

    def __len__(self) -> int:
        return len(self.columns["ra"])

    def __getitem__(self, name: str) -> Numbers:
        return self.columns[name]


def query(ra: float, dec: float, radius_deg: float, bands: tuple[str, str]) -> str:
    """Return the question in ADQL."""
    wanted = [f"g.{name}" for name in _ASTROMETRY] + [f"d.{name}" for name in _DISTANCES]
    for band in bands:
        wanted += [f"s.{BANDS[band]}_{kind}" for kind in ("mag", "flux", "flux_error")]
    circle = f"CIRCLE('ICRS', {ra:.8f}, {dec:.8f}, {radius_deg:.8f})"
    return (  # numbers and names of ours only
        f"SELECT TOP {MOST_STARS} {', '.join(wanted)} FROM gaiadr3.gaia_source AS g"  # noqa: S608
        " LEFT JOIN external.gaiaedr3_distance AS d ON d.source_id = g.source_id"
        " LEFT JOIN gaiadr3.synthetic_photometry_gspc AS s ON s.source_id = g.source_id"
        f" WHERE 1 = CONTAINS(POINT('ICRS', g.ra, g.dec), {circle})"
        f" AND g.ruwe < {RUWE_LIMIT} ORDER BY g.phot_g_mean_mag"
    )


def stars_around(
    tap_url: str,
    ra: float,
    dec: float,
    radius_deg: float,
    bands: tuple[str, str],
    *,
    time_limit_s: float = TIME_LIMIT_S,
) -> GaiaStars:
    """Ask for the stars around a place, the brightest ``MOST_STARS`` of them.

    Raises:
        OperationError: The archive cannot be reached, refuses, takes too long, or answers what is no table.
    """
    asked = {
        "REQUEST": "doQuery",
        "LANG": "ADQL",
        "FORMAT": "votable",
        "MAXREC": str(MOST_STARS),
        "QUERY": query(ra, dec, radius_deg, bands),
    }
    table = _table(_asked(f"{tap_url.rstrip('/')}/sync", asked, time_limit_s))
    columns = {name: _numbers(table, name) for name in (*_ASTROMETRY, *_DISTANCES)}
    columns["parallax"] = columns["parallax"] + PARALLAX_ZERO_POINT_MAS
    for band in bands:
        columns[f"{band}_mag"] = _numbers(table, f"{BANDS[band]}_mag")
        flux, error = (_numbers(table, f"{BANDS[band]}_{kind}") for kind in ("flux", "flux_error"))
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = MAGNITUDE_OF_RELATIVE * error / flux
        columns[f"{band}_magerr"] = np.hypot(relative, SYNTHETIC_FLOOR_MAG)
    return GaiaStars(columns)


def _asked(url: str, form: Mapping[str, str], time_limit_s: float) -> bytes:
    """Send a form and return the answer, which is bounded in size and time."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise OperationError(f"{_UNREACHABLE}: its address must begin with http or https.")
    body = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, body, {"Accept": "application/x-votable+xml"})  # noqa: S310 - see above
    until = time.monotonic() + time_limit_s
    try:
        with urllib.request.urlopen(request, timeout=min(CONNECT_LIMIT_S, time_limit_s)) as answer:  # noqa: S310
            return _read(answer, until)
    except urllib.error.HTTPError as error:
        with error:
            raise OperationError(f"{_UNREACHABLE}: {_refusal(error)}") from error
    except TimeoutError as error:
        raise OperationError(f"{_UNREACHABLE}: it takes too long.") from error
    except (OSError, HTTPException) as error:
        raise OperationError(f"{_UNREACHABLE}: it cannot be reached.") from error


def _read(answer: HTTPResponse, until: float) -> bytes:
    content = bytearray()
    while chunk := answer.read1(_CHUNK_BYTES):
        content += chunk
        if len(content) > ANSWER_AT_MOST_BYTES:
            raise OperationError(f"{_UNREACHABLE}: its answer is too large. Try a smaller radius.")
        if time.monotonic() > until:
            raise TimeoutError
    return bytes(content)


def _refusal(error: urllib.error.HTTPError) -> str:
    """Return why the archive refuses, as its VOTable says, or by its status."""
    try:
        return _said(_parsed(error.read(_CHUNK_BYTES))) or f"it answers {error.code}."
    except (OSError, HTTPException, OperationError):
        return f"it answers {error.code}."


def _parsed(content: bytes) -> VOTableFile:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # archives are seldom strict
            return parse(io.BytesIO(content), verify="ignore")
    except Exception as error:  # of the parser, and of what reads the numbers
        raise OperationError(f"{_UNREACHABLE}: its answer is no VOTable.") from error


def _said(answer: VOTableFile) -> str:
    """Return the error that an answer tells of, empty if it is none (DALI 1.1, 4.4)."""
    for resource in answer.resources:
        for info in resource.infos:
            if info.name == "QUERY_STATUS" and str(info.value).upper() == "ERROR":
                return f"it says: {' '.join(str(info.content or 'error').split())[:300]}"
    return ""


def _table(content: bytes) -> TableElement:
    answer = _parsed(content)
    if said := _said(answer):
        raise OperationError(f"{_UNREACHABLE}: {said}")
    tables = list(answer.iter_tables())
    if not tables:
        raise OperationError(f"{_UNREACHABLE}: its answer has no table.")
    return tables[0]


def _numbers(table: TableElement, name: str) -> Numbers:
    found: Any = table.array
    if table.is_empty() or not len(found):
        return np.zeros(0)
    if name not in found.dtype.names:
        raise OperationError(f"{_UNREACHABLE}: its answer lacks {name}.")
    try:
        filled: Numbers = np.ma.filled(found[name].astype(np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise OperationError(f"{_UNREACHABLE}: its {name} are no numbers.") from error
    return filled
