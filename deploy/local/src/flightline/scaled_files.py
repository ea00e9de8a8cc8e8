"""Scaled images as files of a folder: written whole or not at all, and never over another."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scaler.domain.asks import Asks, RejectedError, Scaled, named_as
from scaler.imaging import Header, check_size, read_header
from shared.errors import InvalidInputError, StorageFullError

if TYPE_CHECKING:
    from scaler.codecs import Codecs

_MOST_BYTES: Final = 2_000_000_000
_HEADER_BYTES: Final = 1 << 24
_MOST_NUMBERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image."""

    source: str
    target: str = ""
    width: int = 0
    height: int = 0
    bytes: int = 0
    sha256: str = ""
    is_new: bool = False
    """False: a file with this content was there already, or there is none."""
    notes: tuple[str, ...] = ()
    code: str = ""
    """Why it was rejected; empty: it was not."""
    reason: str = ""


def prepare(out: Path) -> None:
    """Make the folder.

    Raises:
        InvalidInputError: That cannot be.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"{out} cannot be a folder: {error.strerror}", field="--out", value=str(out)
        ) from error


async def foreseen(source: Path, asks: Asks) -> Outcome:
    """Return what scaling would make of an image, by its header.

    Raises:
        RejectedError: It cannot be scaled.
    """
    from scaler.codecs import PIXELS_AT_MOST  # noqa: PLC0415 - so that --help is quick

    header = await asyncio.to_thread(_header, source)
    width, height = check_size(header, asks, pixels_at_most=PIXELS_AT_MOST)
    return Outcome(str(source), named_as(source.name, header.format), width, height, is_new=True)


async def scaled_file(source: Path, out: Path, asks: Asks, codecs: Codecs) -> Outcome:
    """Scale an image into a folder.

    Raises:
        RejectedError: It cannot be scaled.
        StorageFullError: The folder has no room for it.
    """
    scaled = await codecs.scale(await asyncio.to_thread(_read, source), asks)
    target, is_new = await asyncio.to_thread(_stored, scaled, out, source)
    size = len(scaled.content)
    return Outcome(
        str(source), str(target), scaled.width, scaled.height, size, scaled.sha256, is_new, scaled.notes
    )


def _read(source: Path, at_most: int | None = None) -> bytes:
    try:
        if source.stat().st_size > _MOST_BYTES:
            raise RejectedError("too-large", f"the file is longer than {_MOST_BYTES / 1e9:g} GB")
        with source.open("rb") as file:
            return file.read(-1 if at_most is None else at_most)
    except OSError as error:
        raise RejectedError("unreadable", f"the file cannot be read: {error.strerror}") from error


def _header(source: Path) -> Header:
    """Return what an image is; the directory of a TIFF may be at its end."""
    start = _read(source, _HEADER_BYTES)
    try:
        return read_header(start)
    except RejectedError:
        if len(start) < _HEADER_BYTES:
            raise
    return read_header(_read(source))


def _stored(scaled: Scaled, out: Path, source: Path) -> tuple[Path, bool]:
    """Return where the image is, and whether it is new there; it is as old as its source."""
    part = out / f".{secrets.token_hex(8)}.part"
    try:
        with part.open("xb") as file:
            file.write(scaled.content)
            file.flush()
            os.fsync(file.fileno())
        modified_ns = source.stat().st_mtime_ns
        os.utime(part, ns=(modified_ns, modified_ns))
        return _named(part, scaled, out, source.name)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"there is no room in {out}") from error
        raise InvalidInputError(f"{out} cannot be written: {error.strerror}", field="--out") from error
    finally:
        part.unlink(missing_ok=True)


def _named(part: Path, scaled: Scaled, out: Path, name: str) -> tuple[Path, bool]:
    for target in _targets(out, named_as(name, scaled.format)):
        try:
            _publish(part, target)
        except FileExistsError:
            if _has(target, scaled):
                return target, False
        else:
            return target, True
    raise InvalidInputError(f"{out} has {_MOST_NUMBERS} files of the name {name}", field="--out")


def _publish(part: Path, target: Path) -> None:
    """Give the file its name, unless another has it."""
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
        target.open("xb").close()  # there are no hard links here, as on memory cards
        part.replace(target)


def _targets(out: Path, name: str) -> Iterator[Path]:
    yield out / name
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(2, _MOST_NUMBERS):
        yield out / f"{stem}-{number}{suffix}"


def _has(target: Path, scaled: Scaled) -> bool:
    with suppress(OSError):
        if target.stat().st_size == len(scaled.content):
            return hashlib.sha256(target.read_bytes()).hexdigest() == scaled.sha256
    return False
