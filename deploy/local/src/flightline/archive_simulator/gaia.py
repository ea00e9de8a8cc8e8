"""A TAP service with stars of our own: synchronous queries, answered and refused as the standard says.

TAP 1.1 (2.1 the ``sync`` resource, 2.7.1 ``QUERY``), DALI 1.1 (4.4 errors and overflow in VOTable). Of ADQL
it understands what asks for stars in a circle: which columns, of which joined tables, where, how many.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table

UNKNOWN_SHARE = 0.2
"""Of the stars have no synthetic magnitude in a band."""
_QUERY = re.compile(
    r"SELECT TOP (?P<top>\d+) (?P<columns>[\w., ]+) FROM gaiadr3\.gaia_source AS g"
    r" LEFT JOIN external\.gaiaedr3_distance AS d ON d\.source_id = g\.source_id"
    r" LEFT JOIN gaiadr3\.synthetic_photometry_gspc AS s ON s\.source_id = g\.source_id"
    r" WHERE 1 = CONTAINS\(POINT\('ICRS', g\.ra, g\.dec\),"
    r" CIRCLE\('ICRS', (?P<ra>[-\d.]+), (?P<dec>[-\d.]+), (?P<radius>[\d.]+)\)\)"
    r" AND g\.ruwe < (?P<ruwe>[\d.]+) ORDER BY g\.phot_g_mean_mag"
)


@dataclass
class Gaia:
    """Its stars."""

    stars: Table

    def answer(self, form: Mapping[str, Sequence[str]]) -> tuple[int, bytes]:
        """Return status and VOTable."""
        if list(form.get("REQUEST", ())) != ["doQuery"] or list(form.get("LANG", ())) != ["ADQL"]:
            return 400, error_table("REQUEST must be doQuery, LANG must be ADQL")
        found = _QUERY.fullmatch(form.get("QUERY", [""])[0])
        if found is None:
            return 400, error_table("Cannot parse query <here>")
        return 200, self._selected(found)

    def _selected(self, asked: re.Match[str]) -> bytes:
        stars = self.stars
        right, up = np.radians(stars["ra"] - float(asked["ra"])), np.radians(np.asarray(stars["dec"]))
        middle = np.radians(float(asked["dec"]))
        apart = np.arccos(
            np.clip(np.sin(up) * np.sin(middle) + np.cos(up) * np.cos(middle) * np.cos(right), -1, 1)
        )
        near = (np.degrees(apart) <= float(asked["radius"])) & (stars["ruwe"] < float(asked["ruwe"]))
        chosen = stars[near]
        chosen.sort("phot_g_mean_mag")
        names = [column.split(".")[1].strip() for column in asked["columns"].split(",")]
        answer = from_table(chosen[names][: int(asked["top"])])
        answer.set_all_tables_format("binary2")
        content = io.BytesIO()
        answer.to_xml(content)
        status = b'<INFO name="QUERY_STATUS" value="OK"/>'
        return content.getvalue().replace(b"<TABLE", status + b"<TABLE", 1)


def error_table(message: str) -> bytes:
    """Return an error as DALI has it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">'
        f'<INFO name="QUERY_STATUS" value="ERROR">{escape(message)}</INFO></RESOURCE></VOTABLE>'
    ).encode()


def gaia_stars(ra: Any, dec: Any, seed: int = 0, members: int = 0) -> Table:
    """Return stars at these places; the first ``members`` move together at one distance."""
    rng = np.random.default_rng(seed)
    many = len(ra)
    is_member = np.arange(many) < members
    parallax = np.where(is_member, rng.normal(2.0, 0.05, many), rng.exponential(0.7, many))
    table = Table({"ra": np.asarray(ra, float), "dec": np.asarray(dec, float)})
    table["pmra"] = np.where(is_member, rng.normal(-12.0, 0.15, many), rng.normal(0, 9, many))
    table["pmdec"] = np.where(is_member, rng.normal(7.0, 0.15, many), rng.normal(-3, 9, many))
    table["parallax"] = parallax
    for name in ("pmra", "pmdec", "parallax"):
        table[f"{name}_error"] = np.full(many, 0.05)
    table["phot_g_mean_mag"] = rng.uniform(11, 19, many).astype(np.float32)
    table["r_med_geo"] = 1000 / np.maximum(parallax, 0.1)
    table["r_lo_geo"], table["r_hi_geo"] = table["r_med_geo"] * 0.97, table["r_med_geo"] * 1.03
    for band in "griz":
        magnitude = table["phot_g_mean_mag"] + rng.normal(0.2, 0.1, many)
        unknown = rng.random(many) < UNKNOWN_SHARE
        table[f"{band}_sdss_mag"] = MaskedColumn(magnitude, mask=unknown)
        table[f"{band}_sdss_flux"] = MaskedColumn(10 ** (-0.4 * magnitude), mask=unknown)
        table[f"{band}_sdss_flux_error"] = MaskedColumn(10 ** (-0.4 * magnitude) / 100, mask=unknown)
    table["ruwe"] = np.where(np.arange(many) == many - 1, 5.0, 1.0)
    return table
