"""Brings a job's files from the object store into the folder of a worker process, verified."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from odm_gateway.adapters.intake import read_manifest
from odm_gateway.domain.manifest import ListedFile, manifest_of, staged_names
from odm_gateway.ports import Job
from shared.errors import NotFoundError, PermanentError
from shared.objects.port import ContentError, ObjectStore

FILES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Staging:
    """Fills the image folder of jobs."""

    objects: ObjectStore

    async def files(self, job: Job) -> tuple[ListedFile, ...]:
        """Return the job's files: those of its manifest, or all below its prefix.

        Raises:
            PermanentError: The manifest is gone or no manifest, or there is nothing below the prefix.
        """
        if job.manifest:
            listed = (await read_manifest(self.objects, job.manifest)).files
        else:
            listed = await self._below(job.images)
        if not listed:
            raise PermanentError("There are no images at the given place.")
        return listed

    async def stage(self, files: Iterable[ListedFile], folder: Path) -> AsyncIterator[int]:
        """Put every file into ``folder`` and yield how many are there; one that is there unharmed is kept.

        Raises:
            PermanentError: A staged file is gone or is not what was announced.
        """
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        by_path = {file.path: file for file in files}
        names = staged_names(by_path.values())
        await asyncio.to_thread(_keep_only, folder, frozenset(names.values()))
        todo = list(by_path.values())
        for start in range(0, len(todo), FILES_AT_ONCE):
            batch = todo[start : start + FILES_AT_ONCE]
            await asyncio.gather(*(self._fetch(file, folder / names[file.path]) for file in batch))
            yield start + len(batch)

    async def _fetch(self, file: ListedFile, path: Path) -> None:
        if await asyncio.to_thread(_is_content, path, file):
            return
        try:
            await self.objects.download(file.key, path)
        except (NotFoundError, ContentError) as error:
            raise PermanentError(f"{file.path} cannot be read any more: {error}") from error
        if file.sha256 and not await asyncio.to_thread(_is_content, path, file):
            raise PermanentError(f"{file.path} was changed after it had been staged.")

    async def _below(self, prefix: str) -> tuple[ListedFile, ...]:
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        found = [
            ListedFile(
                path=stored.key.removeprefix(folder),
                key=stored.key,
                size_bytes=stored.size_bytes,
                sha256=stored.sha256,
            )
            async for stored in self.objects.list(folder)
        ]
        return manifest_of(found).files


def _keep_only(folder: Path, names: frozenset[str]) -> None:
    """Remove what is no file of the job, such as halves of interrupted downloads."""
    for path in folder.iterdir():
        if path.name not in names and path.is_file():
            path.unlink()


def _is_content(path: Path, file: ListedFile) -> bool:
    """Return whether ``path`` holds the listed bytes; without a hash nobody can tell."""
    try:
        if file.sha256 is None or path.stat().st_size != file.size_bytes:
            return False
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
    except OSError:
        return False
