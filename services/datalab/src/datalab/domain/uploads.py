"""Files that users bring themselves."""

from __future__ import annotations

import re
import zlib

from pydantic import BaseModel, ConfigDict

from shared.errors import InvalidInputError

NAME_AT_MOST_BYTES = 200
HEAD_BYTES = 1024
"""So many of a file's first bytes tell of which kind it is, compressed or not."""
FITS, TIFF, GZIP = "application/fits", "image/tiff", "application/gzip"

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]+")
_FITS = re.compile(rb"SIMPLE  =\s+T")
_TIFFS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31


class Upload(BaseModel):
    """One file; the document's name is ``u{number}``, and no two of a user have the same basename."""

    model_config = ConfigDict(frozen=True)

    number: int
    owner: str
    basename: str
    """As ``{"source": "upload", "basename": …}`` names it, its ending included."""
    key: str
    """Of the object that holds it."""
    size_bytes: int
    sha256: str
    media_type: str
    created_us: int

    @property
    def document_id(self) -> str:
        """Return the name of its document."""
        return upload_id(self.number)


def upload_id(number: int) -> str:
    """Return the name of an upload's document."""
    return f"u{number}"


def base_name(raw: str) -> str:
    """Return the name that an uploaded file is known by.

    Raises:
        InvalidInputError: It cannot be one.
    """
    name = re.split(r"[/\\]", raw)[-1].strip()
    if not _NAME.fullmatch(name) or name in (".", "..") or len(_encoded(name)) > NAME_AT_MOST_BYTES:
        raise InvalidInputError(
            f"A file's name is 1 to {NAME_AT_MOST_BYTES} bytes of text.", field="file", value=raw
        )
    return name


def media_type(head: bytes, name: str) -> str:
    """Return what a file is, by its first bytes.

    Raises:
        InvalidInputError: It is neither FITS nor TIFF.
    """
    if _FITS.match(head):
        return FITS
    if head.startswith(_TIFFS):
        return TIFF
    if head.startswith(_GZIP) and _FITS.match(_unzipped(head)):
        return GZIP
    raise InvalidInputError(f"{name} is neither a FITS file nor a TIFF.", field="file", value=name)


def _unzipped(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=_GZIP_WINDOW).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
