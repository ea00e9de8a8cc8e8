"""Columns of numbers of the catalogue that a frame brings along, read directly: a tenth of a table's cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from datalab.fits.hdus import Hdu, scan
from datalab.fits.reader import opened
from datalab.operations.operation import OperationError
from datalab.photometry.exposures import Numbers, number

_AT_MOST_BYTES: Final = 256 << 20
_COLUMNS_AT_MOST: Final = 999
_FORM: Final = re.compile(r"(?P<repeat>\d*)(?P<code>[LXBIJKAEDCMPQ])")
_KINDS: Final[Mapping[str, np.dtype[Any]]] = {
    "B": np.dtype("u1"),
    "I": np.dtype(">i2"),
    "J": np.dtype(">i4"),
    "K": np.dtype(">i8"),
    "E": np.dtype(">f4"),
    "D": np.dtype(">f8"),
}
_BYTES: Final = {"L": 1, "A": 1, "C": 8, "M": 16, "P": 8, "Q": 16}
"""Of what is passed over."""


def read_columns(path: Path, name: str) -> Mapping[str, Numbers] | None:
    """Return the columns of the CAT extension that have one number in each row; None: there is no catalogue.

    Raises:
        OperationError: The file or its catalogue cannot be read; the message names it.
    """
    with opened(path, name) as file:
        part = next((hdu for hdu in scan(file, name) if hdu.name == "CAT" and hdu.is_table), None)
        if part is None or part.value("ZTABLE") is True:
            return None
        rows, row_bytes = part.whole("NAXIS2"), part.whole("NAXIS1")
        columns = list(_columns(part, row_bytes))
        if part.data_bytes > _AT_MOST_BYTES:
            raise OperationError(f"{name} has a catalogue that cannot be read")
        file.seek(part.data_start)
        content = file.read(rows * row_bytes)
    return {_name(part, column.index): _numbers(part, column, content, rows, row_bytes) for column in columns}


@dataclass(frozen=True)
class _Column:
    index: int
    start: int
    kind: np.dtype[Any]


def _columns(part: Hdu, row_bytes: int) -> Iterator[_Column]:
    """Give the columns of one number in each row, and where in the row they are."""
    start = 0
    for index in range(1, part.whole("TFIELDS", most=_COLUMNS_AT_MOST) + 1):
        form = _FORM.match(str(part.value(f"TFORM{index}", "")).strip())
        repeat = int(form["repeat"] or 1) if form else 0
        end = start + _row_bytes(form["code"], repeat) if form else row_bytes + 1
        if form is None or end > row_bytes:
            raise OperationError(f"{part.file} has a catalogue that cannot be read")
        if repeat == 1 and form["code"] in _KINDS:
            yield _Column(index, start, _KINDS[form["code"]])
        start = end


def _row_bytes(code: str, repeat: int) -> int:
    if code == "X":
        return -(-repeat // 8)
    return repeat * (_BYTES[code] if code in _BYTES else _KINDS[code].itemsize)


def _name(part: Hdu, index: int) -> str:
    return str(part.value(f"TTYPE{index}", "")).strip().lower()


def _numbers(part: Hdu, column: _Column, content: bytes, rows: int, row_bytes: int) -> Numbers:
    """Return what is meant: scaled, and NaN where the table has nothing."""
    if not rows:
        return np.zeros(0)
    stored: Any = np.ndarray(rows, column.kind, content, column.start, row_bytes)
    scale, zero = number(part.value(f"TSCAL{column.index}")), number(part.value(f"TZERO{column.index}"))
    values = stored.astype(np.float64)
    meant: Numbers = values * (1.0 if scale is None else scale) + (zero or 0.0)
    nothing = part.value(f"TNULL{column.index}")
    if isinstance(nothing, int) and stored.dtype.kind in "iu":
        meant[stored == nothing] = np.nan
    return meant
