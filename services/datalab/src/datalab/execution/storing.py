"""Results on their way from a computing process to the object store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datalab.domain.computations import Computation, Outcome, StoredFile, StoredOutput, provenance
from datalab.execution.job import RESULTS, Made, MadeFile
from shared.errors import DamagedError, NotFoundError
from shared.objects.port import ObjectStore

FOLDER = "datalab"
"""The prefix of all results."""
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
    """Stores what came out; again from anywhere, under the same names."""

    objects: ObjectStore

    async def store(self, one: Computation, folder: Path, made: Made) -> Outcome:
        """Store every file of a computation's results, and return what is known of them then.

        Raises:
            DamagedError: A file that the operation named is not in its folder.
            TransientError: The object store is out of reach.
        """
        root, key = folder / RESULTS, one.key
        outputs = [
            await self._output(basename_of(key, number, len(made.files)), key, root, file)
            for number, file in enumerate(made.files)
        ]
        return Outcome(files=tuple(outputs), data=made.data, provenance=provenance(one, made.software))

    async def _output(self, basename: str, key: str, root: Path, file: MadeFile) -> StoredOutput:
        stored = {
            kind: await self._file(f"{prefix_of(key)}/{basename}", kind, root, path)
            for kind, path in file.paths.items()
        }
        return StoredOutput(
            basename=basename,
            type="fits" if "fits" in stored else "image",
            files=stored,
            comment=file.comment,
            facts=file.facts,
        )

    async def _file(self, base: str, kind: str, root: Path, relative: str) -> StoredFile:
        path = await asyncio.to_thread(_confined, root, relative)
        suffix = _fits_ending(path) if kind == "fits" else _SUFFIXES[kind]
        try:
            stored = await self.objects.put(
                f"{base}{suffix}", path, content_type=_MEDIA_TYPES.get(kind, "image/jpeg")
            )
        except NotFoundError as error:
            raise DamagedError(f"the operation named a file that it did not write: {relative}") from error
        assert stored.sha256 is not None, "puts know the hash"
        return StoredFile(key=stored.key, size_bytes=stored.size_bytes, sha256=stored.sha256)

    async def forget(self, key: str) -> None:
        """Delete the results of a computation."""
        async for stored in self.objects.list(f"{prefix_of(key)}/"):
            await self.objects.delete(stored.key)


def _confined(root: Path, relative: str) -> Path:
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        raise DamagedError(f"the operation named a file that is not in its folder: {relative}")
    return path


def _fits_ending(path: Path) -> str:
    return next((ending for ending in _FITS_ENDINGS if path.name.endswith(ending)), ".fits")
