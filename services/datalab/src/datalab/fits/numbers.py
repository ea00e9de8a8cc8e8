"""Numbers as a FITS image stores them, and the numbers that are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datalab.fits.hdus import Hdu
from datalab.operations.operation import OperationError

_STORED: Final = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}
_OTHER_SIGN: Final[dict[tuple[int, float], str]] = {
    (8, -(2**7)): "i1",
    (16, 2**15): "u2",
    (32, 2**31): "u4",
    (64, 2**63): "u8",
}


@dataclass(frozen=True, slots=True)
class Numbers:
    """How numbers are stored, and what they become; unsigned whole numbers stay what they are."""

    stored: np.dtype[Any]
    """In this machine's byte order."""
    meant: np.dtype[Any]
    scale: float
    zero: float
    blank: int | None
    """Stands for NaN."""

    @property
    def _sign_bit(self) -> int:
        return 1 << (8 * self.stored.itemsize - 1)

    @property
    def _is_turned(self) -> bool:
        return self.meant.kind in "iu" and self.meant != self.stored

    @property
    def are_as_stored(self) -> bool:
        """Return whether numbers mean what is stored."""
        return self.meant == self.stored and (self.scale, self.zero) == (1, 0)

    def physical(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return what native stored numbers mean; may be the same array."""
        if self.are_as_stored:
            return stored
        if self._is_turned:
            turned: NDArray[Any] = stored.view(f"u{self.stored.itemsize}")
            return np.asarray(turned ^ turned.dtype.type(self._sign_bit)).view(self.meant)
        pixels = stored.astype(self.meant)
        if self.scale != 1:
            pixels *= self.scale
        if self.zero != 0:
            pixels += self.zero
        if self.blank is not None:
            pixels[stored == self.blank] = np.nan
        return pixels


def numbers_of(hdu: Hdu) -> Numbers:
    """Return how the image of this part has its numbers.

    Raises:
        OperationError: Its header says what cannot be.
    """
    bits = hdu.whole("ZBITPIX" if hdu.is_packed else "BITPIX", least=-64, most=64)
    if bits not in _STORED:
        raise OperationError(f"{hdu.file} is not readable: its header has BITPIX = {bits}")
    stored = np.dtype(_STORED[bits])
    scale, zero = _number(hdu, "BSCALE", 1), _number(hdu, "BZERO", 0)
    key = "BLANK" if "BLANK" in hdu.cards or not hdu.is_packed else "ZBLANK"
    blank = hdu.whole(key, least=-(2**63)) if key in hdu.cards and bits > 0 else None
    meant = stored
    if bits > 0 and scale == 1 and blank is None:
        meant = np.dtype(_OTHER_SIGN.get((bits, zero), _STORED[bits] if zero == 0 else _real(bits)))
    elif bits > 0:
        meant = np.dtype(_real(bits))
    return Numbers(stored, meant, scale, zero, blank)


def _real(bits: int) -> str:
    return "f4" if bits <= 16 else "f8"  # noqa: PLR2004


def _number(hdu: Hdu, key: str, default: float) -> float:
    value = hdu.value(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OperationError(f"{hdu.file} is not readable: its header has {key} = {value!r}")
    return value
