"""Headers of images without the cards that say how they happen to be stored."""

from __future__ import annotations

import re
from typing import Final

from astropy.io.fits import Header, VerifyError

from datalab.fits.hdus import parsed
from datalab.operations.operation import OperationError

STORING: Final = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|TFIELDS|THEAP|INHERIT"
    r"|(TTYPE|TFORM|TUNIT|TNULL|TSCAL|TZERO|TDISP|TDIM)\d+|CHECKSUM|DATASUM|EXTVER|EXTLEVEL|LONGSTRN|FZ[A-Z0-9]+"
    r"|Z(IMAGE|SIMPLE|TENSION|EXTEND|BITPIX|NAXIS\d*|TILE\d+|CMPTYPE|NAME\d+|VAL\d+|QUANTIZ|DITHER0|BLANK|SCALE"
    r"|ZERO|PCOUNT|GCOUNT|HECKSUM|DATASUM|MASKCMP|BLOCKED|THEAP)|"
)
"""Keywords about storing; an empty one is a blank card."""
_TEXT: Final = ("COMMENT", "HISTORY")


def image_header(primary_text: str, image_text: str, name: str) -> Header:
    """Return what is said of an image: its own cards, then those of the primary that it lacks.

    Raises:
        OperationError: A card is no FITS.
    """
    header = Header()
    try:
        for card in parsed(image_text, name).cards:
            if not STORING.fullmatch(card.keyword):
                header.append(card, end=True)
        for card in parsed(primary_text, name).cards if primary_text is not image_text else ():
            if not STORING.fullmatch(card.keyword) and card.keyword not in (*_TEXT, "EXTNAME"):
                header.append(card, end=True) if card.keyword not in header else None
    except (VerifyError, ValueError) as error:
        raise OperationError(f"{name} is not readable: {error}") from error
    return header
