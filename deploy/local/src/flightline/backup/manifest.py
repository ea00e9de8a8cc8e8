"""What a backup says of itself, and whether that is still so."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from flightline.display import Display
from shared.errors import DamagedError, InvalidInputError
from shared.objects.file import FileObjects

FORM = 1
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
"""Hash of the manifest, as ``sha256sum -c`` reads it."""
STATE = "state.db"
BUS = "bus.db"
KEYS = "keys"
OBJECTS = "objects"
OBJECT_LIST = "objects.jsonl"


class StoredFile(BaseModel):
    """A file of the backup."""

    model_config = ConfigDict(frozen=True)

    size_bytes: int
    sha256: str


class ObjectLine(BaseModel):
    """One line of the list of objects."""

    model_config = ConfigDict(frozen=True)

    key: str
    size_bytes: int
    sha256: str


class Manifest(BaseModel):
    """What was backed up, and when; a backup without one was broken off."""

    model_config = ConfigDict(frozen=True)

    form: Annotated[int, Field(description="Of the backup; a release reads those that it knows.")] = FORM
    release: str
    """Of the ``flightline`` that made it."""
    made_at: AwareDatetime
    """The moment whose state it has; of a server, the moment at which reading began."""
    is_cut: bool
    """Whether state and bus are those of one single moment."""
    objects_url: str
    """Where the objects lay; documents and events name them by it."""
    objects_included: bool
    documents: dict[str, int]
    messages: dict[str, int]
    """Those that waited, by queue."""
    dead_letters: dict[str, int]
    object_count: int = 0
    object_bytes: int = 0
    objects_gone: int = 0
    """Objects that were deleted while the backup was made."""
    files: dict[str, StoredFile]


def stored_file(path: Path) -> StoredFile:
    """Return size and hash of a file, read in pieces."""
    with path.open("rb") as file:
        return StoredFile(
            size_bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest()
        )


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the backup in ``folder``.

    Raises:
        InvalidInputError: There is no backup, or one of a form that this release does not know.
        DamagedError: The manifest cannot be read.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
        seal = (folder / SEAL).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidInputError(
            f"there is no backup in {folder}: {MANIFEST} is missing", field="FOLDER"
        ) from error
    if seal != seal_of(text):
        raise DamagedError(f"{folder / MANIFEST} is damaged; take another backup")
    try:
        form = json.loads(text).get("form")
        if form != FORM:
            raise InvalidInputError(
                f"the backup in {folder} has form {form}, this release reads {FORM}: restore it with the"
                " release that made it, then upgrade",
                field="FOLDER",
            )
        return Manifest.model_validate_json(text)
    except (ValidationError, ValueError, AttributeError) as error:
        raise DamagedError(f"{folder / MANIFEST} is damaged; take another backup") from error


def seal_of(text: bytes) -> str:
    """Return what stands beside a manifest."""
    return f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n"


async def verified(folder: Path, show: Display) -> Manifest:
    """Return the manifest of a backup of which every byte is as it was written.

    Raises:
        InvalidInputError: There is no backup.
        DamagedError: Something is missing, or not as it was.
    """
    manifest = await asyncio.to_thread(read_manifest, folder)
    for name, expected in manifest.files.items():
        await asyncio.to_thread(_check_file, folder / name, expected)
    for name in (STATE, BUS):
        await asyncio.to_thread(check_database, folder / name)
    if manifest.objects_included:
        await _check_objects(folder, manifest, show)
    return manifest


def _check_file(path: Path, expected: StoredFile) -> None:
    try:
        found = stored_file(path)
    except OSError as error:
        raise DamagedError(
            f"{path} cannot be read ({error.strerror}); the backup is not whole, take another one"
        ) from error
    if found != expected:
        raise DamagedError(
            f"{path} has {found.size_bytes} bytes and another hash than the {expected.size_bytes} bytes that"
            " were backed up; take another backup"
        )


def check_database(path: Path) -> None:
    """Raise ``DamagedError`` unless a SQLite file is sound; it is left as it is.

    ``quick_check`` of SQLite 3.40 takes sound tables without a rowid for damaged ones.
    """
    try:
        with connected(path) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise DamagedError(f"{path} is damaged: {error}") from error
    if answer != "ok":
        raise DamagedError(f"{path} is damaged: {answer}")


class connected:  # noqa: N801 - reads as a clause of a with statement
    """Opens a SQLite file that nobody writes to, and closes it."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


async def _check_objects(folder: Path, manifest: Manifest, show: Display) -> None:
    objects = await asyncio.to_thread(FileObjects, folder / OBJECTS)
    done = 0
    for line in object_lines(folder):
        stored = await objects.stat(line.key)
        found = await _sha256(objects, line.key) if stored else None
        if found != line.sha256:
            what = "is missing" if found is None else "is not as it was"
            raise DamagedError(f"the object {line.key} {what} in {folder / OBJECTS}; take another backup")
        done += line.size_bytes
        show.stage("verifying", done, manifest.object_bytes)


async def _sha256(objects: FileObjects, key: str) -> str:
    digest = hashlib.sha256()
    async with objects.open(key) as chunks:
        async for chunk in chunks:
            digest.update(chunk)
    return digest.hexdigest()


def object_lines(folder: Path) -> Iterator[ObjectLine]:
    """Iterate over the objects of a backup."""
    with (folder / OBJECT_LIST).open(encoding="utf-8") as file:
        for line in file:
            yield ObjectLine.model_validate_json(line)
