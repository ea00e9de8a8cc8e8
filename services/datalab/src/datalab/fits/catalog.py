"""The catalogue of sources that a frame brings along."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from astropy.io.fits import BinTableHDU
from astropy.table import Table

from datalab.fits.hdus import scan
from datalab.fits.reader import opened
from datalab.operations.operation import OperationError

_AT_MOST_BYTES: Final = 256 << 20


def read_catalog(path: Path, *, name: str | None = None) -> Table | None:
    """Return the table of the CAT extension; None: there is none.

    Raises:
        OperationError: The file cannot be read; the message names it.
    """
    name = name or path.name
    with opened(path, name) as file:
        part = next((hdu for hdu in scan(file, name) if hdu.name == "CAT" and hdu.is_table), None)
        if part is None:
            return None
        if part.data_bytes > _AT_MOST_BYTES:
            raise OperationError(f"{name} has a catalogue that is too large")
        file.seek(part.data_start)
        content = file.read(part.data_bytes)
    try:
        return Table.read(BinTableHDU.fromstring(part.header.tostring().encode("ascii") + content))
    except Exception as error:  # whatever astropy says of a damaged table
        raise OperationError(f"{name} has a catalogue that cannot be read") from error
