"""Results on their way from a computing process to the object store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from datalab.domain.computations import (
    Computation,
    Outcome,
    StoredFile,
    StoredOutput,
    provenance,
    strays,
)
from datalab.execution.job import DATA, RESULTS, Made, MadeFile
from datalab.together import together
from shared.errors import DamagedError, NotFoundError
from shared.objects.port import ObjectStore
from shared.state import Collection

FOLDER = "datalab"
"""The prefix of all results."""
AT_ONCE = 4
_SUFFIXES: Mapping[str, str] = {
    "fits": ".fits",
    "large": "-large.jpg",
    "small": "-small.jpg",
    "tif": ".tif",
    "diagnostic": "-diagnostic.jpg",
}
_MEDIA_TYPES: Mapping[str, str] = {"fits": "application/fits", "tif": "image/tiff"}
_FITS_ENDINGS = (".fits.fz", ".fits.gz", ".fits")


def prefix_of(key: str) -> str:
    """Return below what the results of a computation lie."""
    return f"{FOLDER}/{key}"


def basename_of(key: str, number: int, count: int) -> str:
    """Return the basename of one of ``count`` outputs, which other operations name it by."""
    return key if count == 1 else f"{key}-{number + 1}"


@dataclass(frozen=True, slots=True)
class Storing:
    """Stores what came out, each attempt in a folder of its own."""

    objects: ObjectStore

    async def store(self, one: Computation, folder: Path, made: Made) -> Outcome:
        """Store every file of a computation's results, and return what is known of them then.

        Raises:
            DamagedError: A file that the operation named is not in its folder.
            TransientError: The object store is out of reach.
        """
        place = _Place(self.objects, folder / RESULTS, f"{prefix_of(one.key)}/{one.attempt}")
        works = [
            partial(place.output, basename_of(one.key, number, len(made.files)), file)
            for number, file in enumerate(made.files)
        ]
        outputs = await together(AT_ONCE, works)
        return Outcome(
            files=tuple(outputs),
            data=made.data,
            data_file=await place.put(f"{one.key}-data.json", folder / DATA, "application/json")
            if made.has_data_file
            else None,
            provenance=provenance(one, made.software),
        )

    async def sweep(self, computations: Collection[Computation], key: str) -> int:
        """Delete what no result of a computation consists of, nor will; return how many objects that were.

        An attempt that is under way loses nothing: each has a folder of its own.
        """
        listed = [stored.key async for stored in self.objects.list(f"{prefix_of(key)}/")]
        document = await computations.get(key)  # behind the listing, see ``strays``
        found = strays(document.body if document else None, listed)
        for stray in found:
            await self.objects.delete(stray)
        return len(found)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the files of one attempt are, and where they go."""

    objects: ObjectStore
    root: Path
    prefix: str

    async def output(self, basename: str, file: MadeFile) -> StoredOutput:
        stored = {kind: await self._file(basename, kind, path) for kind, path in file.paths.items()}
        return StoredOutput(
            basename=basename,
            type="fits" if "fits" in stored else "image",
            files=stored,
            comment=file.comment,
            facts=file.facts,
        )

    async def _file(self, basename: str, kind: str, relative: str) -> StoredFile:
        path = await asyncio.to_thread(_confined, self.root, relative)
        suffix = _fits_ending(path) if kind == "fits" else _SUFFIXES[kind]
        return await self.put(f"{basename}{suffix}", path, _MEDIA_TYPES.get(kind, "image/jpeg"))

    async def put(self, name: str, path: Path, content_type: str) -> StoredFile:
        try:
            stored = await self.objects.put(f"{self.prefix}/{name}", path, content_type=content_type)
        except NotFoundError as error:
            raise DamagedError(f"the operation named a file that it did not write: {path.name}") from error
        assert stored.sha256 is not None, "puts know the hash"
        return StoredFile(key=stored.key, size_bytes=stored.size_bytes, sha256=stored.sha256)


def _confined(root: Path, relative: str) -> Path:
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        raise DamagedError(f"the operation named a file that is not in its folder: {relative}")
    return path


def _fits_ending(path: Path) -> str:
    return next((ending for ending in _FITS_ENDINGS if path.name.endswith(ending)), ".fits")
