"""What users name as a file, as the server names it."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datalab_client.descriptions import Catalogue
from datalab_client.errors import InvalidError
from datalab_client.operations import Operation
from datalab_client.results import Result
from datalab_client.uploads import Upload, Uploads

LOCAL_ENDINGS = (".fits", ".fit", ".fts", ".fz", ".gz", ".tif", ".tiff")
"""A name with one of these, with a slash or a wildcard is a file here; others are frames of the archive."""
_WILD = frozenset("*?[")
_HEX_CHARACTERS = 6


@dataclass(frozen=True, slots=True)
class From:
    """Stands for files in a recipe.

    Attributes:
        step: An earlier step, by its name or its place; ``inputs``: what the recipe is applied to.
        index: Which of its files, counted from 0; None: all.
    """

    step: str | int
    index: int | None = None

    @property
    def as_input(self) -> dict[str, Any]:
        """Return it as recipes have it."""
        return {"from": self.step, **({} if self.index is None else {"index": self.index})}


File = str | Path | Mapping[str, Any] | Upload | Operation | Result | From
"""A frame of the archive by its basename, files here, an upload, what an operation made, or as the server
names it; in a recipe, what is there only when it is applied."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One image of a colour image.

    Attributes:
        file: Which one.
        color: Red, green and blue from 0 to 255, or as web pages have it: ``"#ff8000"``.
        zmin: What is black; None: the server finds it.
        zmax: What is as bright as can be; None: the server finds it.
    """

    file: File
    color: tuple[float, float, float] | str
    zmin: float | None = None
    zmax: float | None = None


_ALONE = (str, Path, Mapping, Upload, Operation, Result, From, Channel)


class Inputs:
    """Turns what users write into what the server reads; files here are brought on the way."""

    def __init__(self, uploads: Uploads, catalogue: Catalogue) -> None:
        self._uploads = uploads
        self._catalogue = catalogue

    def of(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the input data of an operation.

        Raises:
            InvalidError: There is no such operation, or it does not have these inputs.
        """
        description = self._catalogue[name]
        description.check(given)
        return {
            key: self.files(value) if key in description.files else value
            for key, value in given.items()
            if value is not None
        }

    def files(self, given: File | Channel | Iterable[File | Channel]) -> list[dict[str, Any]]:
        """Return files, in their order, as operations and sessions name them.

        Raises:
            InvalidError: One of them is no file, or is not there.
        """
        items = [given] if isinstance(given, _ALONE) else list(given)
        here = {number: _matching(str(item)) for number, item in enumerate(items) if _is_local(item)}
        brought = iter(self._uploads.add_all(path for paths in here.values() for path in paths))
        return [
            named
            for number, item in enumerate(items)
            for named in (
                [next(brought).as_input for _ in here[number]] if number in here else self._named(item)
            )
        ]

    def one(self, given: File) -> dict[str, Any]:
        """Return one file.

        Raises:
            InvalidError: It is none, or several.
        """
        found = self.files(given)
        if len(found) != 1:
            raise InvalidError(f"One file is wanted, and {given!r} is {len(found)}.")
        return found[0]

    def _named(self, item: Any) -> list[dict[str, Any]]:
        match item:
            case Upload() | Result() | From():
                return [item.as_input]
            case Operation():
                return _images(item)
            case Channel():
                return [self._channel(item)]
            case Mapping():
                return [dict(item)]
            case str() if item.strip():
                return [{"type": "fitsfile", "source": "archive", "basename": item.strip()}]
        raise InvalidError(f"{item!r:.80} is no file: give a basename, a path, an upload or an operation.")

    def _channel(self, channel: Channel) -> dict[str, Any]:
        levels = {"zmin": channel.zmin, "zmax": channel.zmax}
        given = {name: value for name, value in levels.items() if value is not None}
        return {**self.one(channel.file), "color": _color(channel.color), **given}


def _images(operation: Operation) -> list[dict[str, Any]]:
    if found := [one.as_input for one in operation.ended().images]:
        return found
    raise InvalidError(f"{operation.name} {operation.id} made no images that others could work on.")


def _is_local(item: Any) -> bool:
    if not isinstance(item, str):
        return isinstance(item, Path)
    is_path = "/" in item or "\\" in item or not _WILD.isdisjoint(item)
    return is_path or item.lower().endswith(LOCAL_ENDINGS)


def _matching(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.is_file():  # also where its name has brackets
        return [path]
    found = sorted(Path(one) for one in glob.glob(str(path), recursive=True))  # noqa: PTH207 - any folder
    if paths := [one for one in found if one.is_file()]:
        return paths
    raise InvalidError(f"There is no file {pattern} here. A frame of the archive is named without an ending.")


def _color(color: tuple[float, float, float] | str) -> dict[str, float]:
    if isinstance(color, str):
        digits = color.removeprefix("#")
        try:
            value = int(digits, 16) if len(digits) == _HEX_CHARACTERS else -1
        except ValueError:
            value = -1
        if value < 0:
            raise InvalidError(f"{color!r} is no color: give red, green and blue, such as (255, 128, 0).")
        color = (value >> 16 & 255, value >> 8 & 255, value & 255)
    return dict(zip("rgb", color, strict=True))
