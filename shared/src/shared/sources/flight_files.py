"""What of a folder makes a flight, and the names that follow from it.

Discovery and ingest must agree on this to the letter: a version that ingest computes differently from the
one that discovery announced would be copied for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from shared.sources.port import Entry, Folder, Skipped, Source

ID_HEX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class FileRule:
    """Which files of a folder belong to a flight."""

    suffixes: tuple[str, ...] = (".jpg", ".jpeg")
    """Of images, in small letters."""
    sidecars: tuple[str, ...] = ("gcp_list.txt", "geo.txt", "image_groups.txt", "align.*")
    """Names, or patterns of names, of what photogrammetry wants to know beside the images."""

    def is_image(self, path: str) -> bool:
        """Return whether a file of this name is taken for a photograph."""
        return path.lower().endswith(self.suffixes) and not _name(path).startswith(".")

    def is_sidecar(self, path: str) -> bool:
        """Return whether a file of this name goes along with the images."""
        return any(fnmatchcase(_name(path), pattern) for pattern in self.sidecars)


DEFAULT_RULE = FileRule()


@dataclass(frozen=True, slots=True)
class FlightFiles:
    """The files of one flight at one moment."""

    images_path: str
    """Folder of the images, relative to the source; empty: the source itself."""
    images: tuple[Entry, ...]
    sidecars: tuple[Entry, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def total_bytes(self) -> int:
        """Return the size of all images."""
        return sum(entry.size_bytes for entry in self.images)

    @property
    def version(self) -> str:
        """Return the name of this set of files; another size, time or ETag of one makes another name."""
        return version_of((*self.images, *self.sidecars))


def flight_id(source: Source, images_path: str) -> str:
    """Return the flight's id, which its place alone decides."""
    kind = source.uri.partition(":")[0]
    where = f"{source.path}/{images_path}".rstrip("/") if source.path else images_path
    return _digest([kind, source.tenant, source.system_id, where])


def version_of(entries: Iterable[Entry]) -> str:
    """Return the name of a listing: a hash over path, size and change token of each file."""
    lines = sorted((entry.path, str(entry.size_bytes), entry.token) for entry in entries)
    return _digest(part for line in lines for part in line)


async def read_flight(source: Source, images_path: str, rule: FileRule = DEFAULT_RULE) -> FlightFiles:
    """List the images of a flight, and the sidecars in the same folder and the one above it.

    Raises:
        NotFoundError: There is no such folder.
    """
    folder = await source.folder(images_path)
    above = await source.folder(images_path.rpartition("/")[0]) if images_path else Folder()
    return flight_of(images_path, folder, above, rule)


def flight_of(images_path: str, folder: Folder, above: Folder, rule: FileRule = DEFAULT_RULE) -> FlightFiles:
    """Return what of the images' folder, and of the one above it, makes a flight."""
    sidecars = [entry for entry in (*above.files, *folder.files) if rule.is_sidecar(entry.path)]
    return FlightFiles(
        images_path=images_path,
        images=tuple(entry for entry in folder.files if rule.is_image(entry.path)),
        sidecars=tuple(entry for entry in sidecars if not rule.is_image(entry.path)),
        skipped=(
            *(skipped for skipped in folder.skipped if rule.is_image(skipped.path)),
            *(
                Skipped(path, "a folder named like an image")
                for path in folder.folders
                if rule.is_image(path)
            ),
        ),
    )


def is_image(path: str) -> bool:
    """Return whether a file of this name is taken for a photograph."""
    return DEFAULT_RULE.is_image(path)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogatepass")
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()[:ID_HEX_DIGITS]
