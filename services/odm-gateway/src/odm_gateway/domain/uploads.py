"""Uploads on their way to becoming a task: names of files, drafts, and what fits into them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from odm_gateway.domain.callers import Caller
from odm_gateway.domain.manifest import FILES_AT_MOST, ListedFile
from odm_gateway.domain.tasks import Task, too_many_images
from shared.errors import InvalidInputError

NAME_AT_MOST_BYTES = 255
SHOWN_CHARACTERS = 60

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RESERVED = "body.json"
"""NodeODM keeps a task's fields under this name; clients know such a file as ``_body.json``."""


class DraftState(StrEnum):
    """How far an upload is."""

    OPEN = "open"
    """Files may come, in any number of requests."""
    DIRECT = "direct"
    """Its files come in one request."""
    COMMITTING = "committing"
    """No more files count; there will be a task."""
    COMMITTED = "committed"
    """There is a task."""
    DISCARDED = "discarded"
    """Nobody came back for it."""


class Draft(BaseModel):
    """A task whose files are being uploaded."""

    model_config = ConfigDict(frozen=True)

    task_key: str
    upload: str
    """Name of this very upload: another one for the same task has nothing to do with it."""
    state: DraftState
    at_us: int
    """When something last happened to it, in µs since 1970."""
    task: Task
    is_dated: bool = False
    """The client gave the task's date."""
    image_count: int = 0
    total_bytes: int = 0

    @property
    def is_open(self) -> bool:
        """Return whether files may come in further requests."""
        return self.state is DraftState.OPEN

    @property
    def is_waiting(self) -> bool:
        """Return whether it may still become a task."""
        return self.state in (DraftState.OPEN, DraftState.COMMITTING)

    def belongs_to(self, caller: Caller) -> bool:
        """Return whether ``caller`` began it."""
        return (self.task.tenant, self.task.parent) == (caller.name, caller.parent)

    @property
    def prefix(self) -> str:
        """Return the key prefix of its files."""
        return f"uploads/{self.task_key}/{self.upload}"

    @property
    def manifest(self) -> str:
        """Return the key of the manifest that its commit writes."""
        return f"{self.prefix}/manifest.json"

    def moved(self, state: DraftState, at_us: int) -> Draft:
        """Return the draft in another state."""
        return self.model_copy(update={"state": state, "at_us": at_us})

    def with_files(self, images: int, size_bytes: int) -> Draft:
        """Return the draft with so many more images and bytes."""
        return self.model_copy(
            update={
                "image_count": max(0, self.image_count + images),
                "total_bytes": max(0, self.total_bytes + size_bytes),
            }
        )

    def committed_task(self, now: datetime, image_count: int, total_bytes: int) -> Task:
        """Return the task that the upload becomes."""
        return self.task.model_copy(
            update={
                "created_at": self.task.created_at if self.is_dated else now,
                "inserted_us": round(now.timestamp() * 1e6),
                "images": self.prefix,
                "manifest": self.manifest,
                "image_count": image_count,
                "total_bytes": total_bytes,
            }
        )


def new_draft(task_key: str, task: Task, at_us: int, *, is_dated: bool) -> Draft:
    """Return an open draft of ``task``; its files have nothing to do with those of any other."""
    return Draft(
        task_key=task_key,
        upload=uuid4().hex,
        state=DraftState.OPEN,
        at_us=at_us,
        task=task,
        is_dated=is_dated,
    )


class UploadedFile(BaseModel):
    """One file that arrived whole."""

    model_config = ConfigDict(frozen=True)

    task_key: str
    upload: str
    name: str
    key: str
    size_bytes: int
    sha256: str
    at_us: int

    def is_same(self, other: UploadedFile) -> bool:
        """Return whether the content is that of ``other``."""
        return (self.size_bytes, self.sha256) == (other.size_bytes, other.sha256)

    @property
    def document_id(self) -> str:
        """Return the id under which there is one file of this name."""
        return f"{self.upload}/{folded(self.name)}"

    def renamed(self) -> UploadedFile:
        """Return the file under the next name for it."""
        return self.model_copy(update={"name": next_name(self.name)})

    def listed(self) -> ListedFile:
        """Return the file as a manifest lists it."""
        return ListedFile(path=self.name, key=self.key, size_bytes=self.size_bytes, sha256=self.sha256)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a task may bring; None: any amount."""

    images: int | None = None
    total_bytes: int | None = None
    files: int = FILES_AT_MOST

    @property
    def are_set(self) -> bool:
        """Return whether anything is limited that is counted while it arrives."""
        return self.images is not None or self.total_bytes is not None

    def check(self, image_count: int, total_bytes: int) -> None:
        """Return if so much is allowed.

        Raises:
            InvalidInputError: It is too much; about images in NodeODM's words.
        """
        if refusal := too_many_images(image_count, self.images):
            raise InvalidInputError(refusal, field="images")
        self.check_bytes(total_bytes)

    def check_files(self, file_count: int) -> None:
        """Return if there may be so many files.

        Raises:
            InvalidInputError: There are none, or too many.
        """
        if not file_count:
            raise InvalidInputError("Need at least 1 file.", field="images")
        if file_count > self.files:
            raise InvalidInputError(f"A task has at most {self.files} files.", field="images")

    def check_bytes(self, total_bytes: int) -> None:
        """Return if so many bytes are allowed.

        Raises:
            InvalidInputError: They are too many.
        """
        if self.total_bytes is not None and total_bytes > self.total_bytes:
            raise InvalidInputError(
                f"The task's files have more than {self.total_bytes} bytes, the most that this node takes.",
                field="images",
            )


class Gathered:
    """The files of one request, each content once under its name."""

    def __init__(self) -> None:
        self._files: dict[str, UploadedFile] = {}

    @property
    def files(self) -> tuple[UploadedFile, ...]:
        """Return what was gathered."""
        return tuple(self._files.values())

    def add(self, file: UploadedFile) -> bool:
        """Take a file, renamed where its name is taken; return False for one that is there already.

        Raises:
            InvalidInputError: There are too many.
        """
        while there := self._files.get(file.document_id):
            if there.is_same(file):
                return False
            file = file.renamed()
        if len(self._files) >= FILES_AT_MOST:
            raise InvalidInputError(f"A task has at most {FILES_AT_MOST} files.", field="images")
        self._files[file.document_id] = file
        return True


def file_name(raw: str) -> str:
    """Return the name of an uploaded file: the last part of whatever path the client sent.

    Raises:
        InvalidInputError: No file could be called so.
    """
    name = raw.replace("\\", "/").rpartition("/")[2].strip()
    shown = repr(raw[:SHOWN_CHARACTERS])
    if _CONTROL.search(raw) or not _is_unicode(name):
        raise InvalidInputError(f"A file's name holds control characters: {shown}", field="images")
    if name in ("", ".", ".."):
        raise InvalidInputError(f"A file cannot be called {shown}", field="images")
    if name.lower() == _RESERVED:
        name = f"_{name}"
    if len(name.encode()) > NAME_AT_MOST_BYTES:
        raise InvalidInputError(
            f"A file's name has more than {NAME_AT_MOST_BYTES} bytes: {shown}…", field="images"
        )
    return name


def folded(name: str) -> str:
    """Return what names have in common that some file system takes for one: case and spelling aside."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def next_name(name: str) -> str:
    """Return what NodeODM calls another file of this name.

    Raises:
        InvalidInputError: There is no room for another letter.
    """
    path = PurePosixPath(name)
    longer = f"{path.stem}_{path.suffix}"
    if len(longer.encode()) > NAME_AT_MOST_BYTES:
        raise InvalidInputError("Too many different files have the same name.", field="images")
    return longer


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
