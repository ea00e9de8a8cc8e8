"""Images that are made on disk, because memory is for what is worked on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

_KIND: Final = np.dtype(np.float32)


class DiskImage:
    """An image of 32-bit floats in a file that is gone with it; a context manager.

    It is written and read by rows, and starts as zeros.
    """

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._row_bytes = shape[1] * _KIND.itemsize
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._file.truncate(shape[0] * self._row_bytes)

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        """Return some rows, as an array of their own."""
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            return np.concatenate([self[row : row + 1] for row in range(start, stop, step)])
        values = np.empty((max(0, stop - start), self.shape[1]), _KIND)
        self._file.seek(start * self._row_bytes)
        self._file.readinto(values.reshape(-1).view(np.uint8).data)
        return values

    def __setitem__(self, rows: slice, values: NDArray[np.float32], /) -> None:
        """Write some rows."""
        self._file.seek(rows.start * self._row_bytes)
        self._file.write(np.ascontiguousarray(values, _KIND).data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
