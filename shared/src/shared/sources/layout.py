"""Which folders of a source hold flights, and what of them makes one.

Suffixes and sidecars decide the version of a flight, so that every service must know the same; where flights
lie and when they are complete is for discovery alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.sources.flight_files import DEFAULT_RULE, FileRule, FlightFiles, flight_of
from shared.sources.port import Folder, LoginNeededError, Source, SourceForbiddenError, pages

DEFAULT_GLOBS = ("*/code/images",)
GLOB_DEPTH_AT_MOST = 10
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where flights lie below a root, and what makes one complete."""

    globs: tuple[str, ...] = DEFAULT_GLOBS
    """Folders of images, relative to the root; ``*``, ``?`` and ``[…]`` count within one name."""
    min_images: int = 1
    ready_marker: str = ""
    """Name of a file beside the images, or in the folder above, without which a flight is not complete."""
    files: FileRule = DEFAULT_RULE

    def __post_init__(self) -> None:
        """Refuse globs that can match nothing."""
        for glob in self.globs:
            parts = glob.split("/")
            if not all(parts) or ".." in parts or len(parts) > GLOB_DEPTH_AT_MOST:
                raise InvalidInputError(
                    f"{glob!r}: write names or patterns joined by single slashes, such as */code/images",
                    field="layout",
                    value=glob,
                )

    def is_flight(self, flight: FlightFiles) -> bool:
        """Return whether there are images enough."""
        return len(flight.images) >= max(1, self.min_images)

    def is_marked(self, *folders: Folder) -> bool:
        """Return whether the flight's owner says that it is complete; without a marker's name, always."""
        names = {entry.path.rpartition("/")[2] for folder in folders for entry in folder.files}
        return not self.ready_marker or self.ready_marker in names


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that fits a layout."""

    images_path: str
    flight: FlightFiles | None
    """None where it cannot be read now."""
    is_marked: bool = True
    trouble: str = ""


async def find(source: Source, layout: Layout) -> AsyncIterator[Place]:
    """Find the flights below a root, with as few listings as can tell; one in trouble hides no other.

    A name without wildcards is gone into without listing the folder that it is in, and the folder above the
    images, listed to see whether they are there, is the one that the sidecars are taken from.

    Raises:
        NotFoundError, SourceForbiddenError, LoginNeededError, TransientError: The root cannot be read.
    """
    seen: set[str] = set()
    for glob in layout.globs:
        *above, last = glob.split("/")
        async for folder in _expanded(source, "", above):
            async for place in _at(source, layout, folder, last):
                if place.images_path not in seen:
                    seen.add(place.images_path)
                    yield place


async def _expanded(source: Source, folder: str, pattern: Sequence[str]) -> AsyncIterator[str]:
    """Yield the folders that may fit a pattern; those that are told by name may not be there."""
    if not pattern:
        yield folder
        return
    first, *rest = pattern
    if not _is_wild(first):
        async for deeper in _expanded(source, _joined(folder, first), rest):
            yield deeper
        return
    async for name in _matching(source, folder, first):
        async for deeper in _expanded(source, name, rest):
            yield deeper


async def _matching(source: Source, folder: str, pattern: str) -> AsyncIterator[str]:
    """Yield the folders in a folder that fit; only the root must be there and be readable."""
    found: list[str] = []
    try:
        async for page in pages(source, folder):
            found += [path for path in page.folders if fnmatchcase(path.rpartition("/")[2], pattern)]
    except LoginNeededError:
        raise
    except (PermanentError, TransientError):
        if not folder:
            raise
    for path in found:
        yield path


async def _at(source: Source, layout: Layout, folder: str, pattern: str) -> AsyncIterator[Place]:
    try:
        above = await source.folder(folder)
    except LoginNeededError:
        raise
    except (PermanentError, TransientError) as error:
        if not folder:
            raise
        if not _is_no_folder(error):
            yield Place(_joined(folder, pattern), None, trouble=str(error))
        return
    for path in above.folders:
        if fnmatchcase(path.rpartition("/")[2], pattern) and (
            place := await _looked_at(source, layout, path, above)
        ):
            yield place


async def _looked_at(source: Source, layout: Layout, path: str, above: Folder) -> Place | None:
    try:
        folder = await source.folder(path)
    except LoginNeededError:
        raise
    except NotFoundError:
        return None
    except (PermanentError, TransientError) as error:
        return Place(path, None, trouble=str(error))
    flight = flight_of(path, folder, above, layout.files)
    return Place(path, flight, layout.is_marked(folder, above)) if layout.is_flight(flight) else None


def _is_no_folder(error: Exception) -> bool:
    """Return whether there simply is no folder where one would fit."""
    is_known = isinstance(error, NotFoundError | InvalidInputError)
    return is_known and not isinstance(error, SourceForbiddenError)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}".lstrip("/")


def _is_wild(name: str) -> bool:
    return not _WILD.isdisjoint(name)
