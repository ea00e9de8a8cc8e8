"""Images of FITS files and GeoTIFFs, whole or row by row."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Final, Protocol, Self

import numpy as np
from astropy.io.fits import Header
from numpy.typing import NDArray

from datalab.fits import geotiff
from datalab.fits.hdus import PIXELS_AT_MOST, Hdu, scan
from datalab.fits.headers import image_header
from datalab.fits.numbers import Numbers, numbers_of
from datalab.fits.tiled import TiledImage
from datalab.operations.operation import OperationError

_GZIP_MAGIC: Final = b"\x1f\x8b"
_EXPANDED_AT_MOST_BYTES: Final = 4 << 30
_CHUNK_BYTES: Final = 1 << 20
_IMAGE_AXES: Final = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One image."""

    pixels: NDArray[Any]
    """Rows and columns, the lowest row first, in native byte order; unsigned whole numbers as they are."""
    header: Header
    """Of the image, with the cards of the primary that it lacks, without those about storing."""
    mask: NDArray[np.bool_] | None
    """True: bad (BPM is not zero there); None: nothing is said."""
    error: NDArray[np.float32] | None
    """ERR, if asked for and there."""


class _Image(Protocol):
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def numbers(self) -> Numbers: ...
    @property
    def tile_rows(self) -> int: ...
    def rows(self, file: BinaryIO, start: int, stop: int) -> NDArray[Any]: ...
    def marks(self, file: BinaryIO, start: int, stop: int) -> NDArray[np.bool_]: ...


class _PlainImage:
    """An image that is stored as it is."""

    tile_rows = 1

    def __init__(self, shape: tuple[int, int], start: int, numbers: Numbers, order: str) -> None:
        self.shape, self.numbers = shape, numbers
        self._start, self._stored = start, numbers.stored.newbyteorder(order)  # type: ignore[arg-type]

    def rows(self, file: BinaryIO, start: int, stop: int) -> NDArray[Any]:
        """Return some rows, as numbers that are meant."""
        content = np.empty((stop - start, self.shape[1]), self._stored)
        file.seek(self._start + start * self.shape[1] * self._stored.itemsize)
        file.readinto(content.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
        return self.numbers.physical(content.astype(self.numbers.stored, copy=False))

    def marks(self, file: BinaryIO, start: int, stop: int) -> NDArray[np.bool_]:
        """Return where numbers of some rows are not zero."""
        return np.asarray(self.rows(file, start, stop) != 0)


class FrameReader:
    """An image of a file, of which no more is held than the rows asked for.

    Raises:
        OperationError: It is not FITS, truncated, has no image of two dimensions, or one that is too large.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        """Look at a file, which users know by ``name``."""
        self.name = name or path.name
        self._is_fits = False
        self._path, self._expanded = path, _expanded(path, self.name)
        self._bad: _Image | None = None
        self._error: _Image | None = None
        try:
            with self._opened() as file:
                if file.read(4) in geotiff.MAGICS and self._expanded is None:
                    self._image: _Image = self._open_tiff()
                else:
                    self._image = self._open_fits(file)
        except BaseException:
            self.close()
            raise

    def _open_fits(self, file: BinaryIO) -> _Image:
        hdus = scan(file, self.name)
        image = _chosen(hdus, self.name)
        self._is_fits = True
        self._bad = self._beside(hdus, "BPM", image)
        self._error = self._beside(hdus, "ERR", image)
        return _image(hdus, image)

    def _open_tiff(self) -> _Image:
        self._expanded = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        with geotiff.first_band(self._path, self.name) as band:
            height, width = left, _ = band.shape
            for rows in band.rows():  # from the top, and FITS begins at the bottom
                left -= len(rows)
                self._expanded.seek(left * width * band.dtype.itemsize)
                self._expanded.write(np.ascontiguousarray(rows[::-1]).data)
            return _PlainImage((height, width), 0, Numbers(band.dtype, band.dtype, 1, 0, None), "=")

    def _beside(self, hdus: list[Hdu], name: str, image: Hdu) -> _Image | None:
        part = next((hdu for hdu in hdus if hdu.name == name and hdu.axes), None)
        if part is None:
            return None
        if part.axes != image.axes:
            raise OperationError(f"{self.name} has a {name} extension of another size than its image")
        return _image(hdus, part)

    @property
    def header(self) -> Header:
        """Of the image, with the cards of the primary that it lacks, without those about storing.

        It is read from the file each time: headers of a thousand images are tens of megabytes.

        Raises:
            OperationError: A card is no FITS.
        """
        if not self._is_fits:
            return Header()
        primary, image = self._headers()
        return image_header(primary.text, image.text, self.name)

    def card(self, key: str, default: object = None) -> object:
        """Return what the image's header says, or else the primary's, without parsing all of them.

        Raises:
            OperationError: What it says is no FITS.
        """
        if not self._is_fits:
            return default
        primary, image = self._headers()
        return image.value(key, primary.value(key, default))

    def _headers(self) -> tuple[Hdu, Hdu]:
        with self._opened() as file:
            hdus = scan(file, self.name)
        return hdus[0], _chosen(hdus, self.name)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._image.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of the pixels."""
        return self._image.numbers.meant

    @property
    def tile_rows(self) -> int:
        """How many rows are unpacked together."""
        return self._image.tile_rows

    @property
    def has_mask(self) -> bool:
        """Whether bad pixels are marked."""
        return self._bad is not None

    @property
    def has_error(self) -> bool:
        """Whether errors are said."""
        return self._error is not None

    def rows(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return the pixels of some rows.

        Raises:
            OperationError: They are damaged.
        """
        with self._opened() as file:
            return self._image.rows(file, start, self.shape[0] if stop is None else stop)

    def bad(self, start: int = 0, stop: int | None = None) -> NDArray[np.bool_] | None:
        """Return where pixels are bad; None: nothing is said of it."""
        if self._bad is None:
            return None
        with self._opened() as file:
            return self._bad.marks(file, start, self.shape[0] if stop is None else stop)

    def error(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32] | None:
        """Return the errors of the pixels; None: nothing is said of them."""
        if self._error is None:
            return None
        with self._opened() as file:
            rows = self._error.rows(file, start, self.shape[0] if stop is None else stop)
        return rows.astype(np.float32, copy=False)

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """Give the file, which is not kept open: there may be a thousand."""
        if self._expanded is not None:
            self._expanded.seek(0)
            yield self._expanded  # type: ignore[misc]
        else:
            with self._path.open("rb") as file:
                yield file

    def close(self) -> None:
        """Give up what was expanded."""
        if self._expanded is not None:
            self._expanded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_frame(
    path: Path, *, rows: slice | None = None, want_error: bool = False, name: str | None = None
) -> Frame:
    """Return the image of a file: of its SCI extension, else the first of two dimensions.

    Raises:
        OperationError: There is none, or it cannot be read; the message names the file.
    """
    with FrameReader(path, name) as reader:
        start, stop, _ = (rows or slice(None)).indices(reader.shape[0])
        error = reader.error(start, stop) if want_error else None
        return Frame(reader.rows(start, stop), reader.header, reader.bad(start, stop), error)


@contextmanager
def opened(path: Path, name: str) -> Iterator[BinaryIO]:
    """Open a file; one that is gzipped is expanded before.

    Raises:
        OperationError: It cannot be expanded, or is too large then.
    """
    with _expanded(path, name) or path.open("rb") as file:
        file.seek(0)
        yield file  # type: ignore[misc]


def _image(hdus: list[Hdu], hdu: Hdu) -> _Image:
    if hdu.is_packed:
        return TiledImage(hdu, hdus.index(hdu))
    columns, rows = hdu.axes
    return _PlainImage((rows, columns), hdu.data_start, numbers_of(hdu), ">")


def _chosen(hdus: list[Hdu], name: str) -> Hdu:
    images = [hdu for hdu in hdus if hdu.axes]
    flat = [hdu for hdu in images if len(hdu.axes) == _IMAGE_AXES]
    if not images:
        raise OperationError(f"{name} has no image")
    if not flat:
        size = " x ".join(str(axis) for axis in images[0].axes)
        raise OperationError(f"{name} has no image of two dimensions, but one of {size}")
    image = next((hdu for hdu in flat if hdu.name == "SCI"), flat[0])
    columns, rows = image.axes
    if columns * rows > PIXELS_AT_MOST:
        raise OperationError(f"{name} is too large: {columns} x {rows} pixels")
    return image


def _expanded(path: Path, name: str) -> IO[bytes] | None:
    """Return what a .gz holds, in a file that is gone when it is closed; None: it is none."""
    with path.open("rb") as file:
        if file.read(2) != _GZIP_MAGIC:
            return None
    expanded = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    try:
        _expand(path, expanded, name)
    except BaseException:
        expanded.close()
        raise
    return expanded


def _expand(path: Path, expanded: IO[bytes], name: str) -> None:
    try:
        with gzip.open(path) as packed:
            while (chunk := packed.read(_CHUNK_BYTES)) and expanded.tell() <= _EXPANDED_AT_MOST_BYTES:
                expanded.write(chunk)
    except (EOFError, OSError, zlib.error) as error:
        raise OperationError(f"{name} is truncated or damaged: it cannot be unpacked") from error
    if chunk:
        raise OperationError(f"{name} is too large when it is unpacked")
    expanded.flush()
