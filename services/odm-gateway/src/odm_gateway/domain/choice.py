"""Which files below a prefix that a client names are to be processed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate

from odm_gateway.domain.images import is_image
from odm_gateway.domain.manifest import has_role
from odm_gateway.domain.tasks import Source

EXCLUSIONS_AT_MOST = 100

_PRODUCT_FOLDERS = frozenset(
    {
        "3d_tiles", "dsm_tiles", "dtm_tiles", "entwine_pointcloud", "mve", "odm_25dmeshing", "odm_dem",
        "odm_filterpoints", "odm_georeferencing", "odm_georeferencing_25d", "odm_meshing", "odm_orthophoto",
        "odm_report", "odm_texturing", "odm_texturing_25d", "openmvs", "opensfm", "orthophoto_tiles",
        "potree_pointcloud", "smvs", "submodels",
    }
)  # fmt: skip
_PRODUCT_FILES = frozenset({"all.zip", "benchmark.txt", "img_list.txt", "task_output.txt"})
_BESIDE_VIDEOS = (".srt",)
_BRACES = re.compile(r"\{([^{}]*)\}")
_WILD = re.compile(r"[*?\[]")


@dataclass(slots=True)
class Choice:
    """Which files below a prefix are to be processed."""

    source: Source
    _exclusions: tuple[_Exclusion, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Read the patterns once."""
        self._exclusions = tuple(_Exclusion(text) for text in self.source.excluded)

    def counts(self, path: str) -> bool:
        """Return whether a file, by its path below the prefix, is one to process.

        Products of earlier runs, hidden files and whatever no engine looks at are not.
        """
        *folders, name = path.split("/")
        if self.source.depth is not None and len(folders) > self.source.depth:
            return False
        if any(folder in _PRODUCT_FOLDERS or folder == "__MACOSX" for folder in folders):
            return False
        if name.startswith(".") or name in _PRODUCT_FILES:
            return False
        if not (is_image(name) or has_role(name) or name.lower().endswith(_BESIDE_VIDEOS)):
            return False
        return not any(exclusion.excludes([*folders, name]) for exclusion in self._exclusions)


class _Exclusion:
    """A folder or file, from the prefix on; or a pattern as rclone has them, for the end of paths.

    Parts of a path are matched one by one, so that no pattern takes long.
    """

    def __init__(self, text: str) -> None:
        self._literal = None if _WILD.search(text) else text.split("/")
        parts = ["**", *text.split("/")]
        self._parts = [None if part == "**" else re.compile(translate(part)) for part in parts]

    def excludes(self, path: Sequence[str]) -> bool:
        """Return whether the file of this path, in parts, is left out."""
        if self._literal is not None:
            return list(path[: len(self._literal)]) == self._literal
        places = self._and_behind({0})
        for part in path:
            places = self._and_behind({after for place in places for after in self._after(place, part)})
        return len(self._parts) in places

    def _after(self, place: int, part: str) -> Iterable[int]:
        if place == len(self._parts):
            return
        pattern = self._parts[place]
        if pattern is None:
            yield place
        elif pattern.match(part):
            yield place + 1

    def _and_behind(self, places: set[int]) -> set[int]:
        """Add the places behind ``**``, which may stand for nothing."""
        for place, part in enumerate(self._parts):  # in their order: one may stand behind another
            if part is None and place in places:
                places.add(place + 1)
        return places


def expanded(patterns: Iterable[str]) -> list[str]:
    """Return the patterns with each of ``{a,b}`` spelt out, and no more than one too many."""
    waiting, done = list(patterns), list[str]()
    while waiting and len(done) <= EXCLUSIONS_AT_MOST:
        pattern = waiting.pop(0)
        if braces := _BRACES.search(pattern):
            head, tail = pattern[: braces.start()], pattern[braces.end() :]
            waiting[:0] = [f"{head}{each}{tail}" for each in braces[1].split(",")]
        else:
            done.append(pattern)
    return done
