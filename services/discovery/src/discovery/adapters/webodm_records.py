"""What WebODM says of its projects and tasks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from shared.errors import InvalidInputError
from shared.redaction import redact_text

NAME_AT_MOST_CHARACTERS = 255
KEY_TAG = re.compile(r"fl[0-9a-f]{16}")
"""One token for WebODM's text search, which takes others apart at hyphens and dots."""


class TaskStatus(IntEnum):
    """How far a task is; one that has not been begun has none."""

    QUEUED = 10
    RUNNING = 20
    FAILED = 30
    COMPLETED = 40
    CANCELED = 50


class PendingAction(IntEnum):
    """What WebODM is about to do with a task."""

    CANCEL = 1
    REMOVE = 2
    RESTART = 3
    RESIZE = 4
    IMPORT = 5
    COMPACT = 6


def _text(value: object) -> object:
    return "" if value is None else value


def _shown(value: object) -> object:
    """Hide what an error may repeat of a presigned URL."""
    return redact_text(value) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_text)]


class Record(BaseModel):
    """An answer; what is not known is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Project(Record):
    """A project, as the account that asks may see it."""

    id: int
    name: str
    created_at: AwareDatetime
    description: Text = ""
    tags: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    owned: bool = True

    @property
    def may_change(self) -> bool:
        """Whether tasks may be added to it."""
        return "change" in self.permissions


class Task(Record):
    """Images and what becomes of them, or assets that were imported."""

    id: str
    project: int
    name: Text = ""
    status: TaskStatus | None = None
    pending_action: PendingAction | None = None
    last_error: Annotated[str | None, BeforeValidator(_shown)] = None
    partial: bool = False
    images_count: int = 0
    upload_progress: float = 0.0
    resize_progress: float = 0.0
    running_progress: float = 0.0
    available_assets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens by itself."""
        ended = {TaskStatus.FAILED, TaskStatus.COMPLETED, TaskStatus.CANCELED}
        return self.status in ended and self.pending_action is None

    @property
    def has_failed(self) -> bool:
        """Whether it is at its end, and not a good one."""
        return self.has_ended and self.status != TaskStatus.COMPLETED


def checked_name(name: str) -> str:
    """Return ``name`` if a project can have it.

    Raises:
        InvalidInputError: It is empty, or too long.
    """
    if not name.strip() or len(name) > NAME_AT_MOST_CHARACTERS:
        raise InvalidInputError(
            f"a name in WebODM has 1 to {NAME_AT_MOST_CHARACTERS} characters", field="name", value=name
        )
    return name


def checked_tags(tags: Iterable[str]) -> list[str]:
    """Return ``tags`` if WebODM keeps them as they are.

    Raises:
        InvalidInputError: One has a space in it, which would make two of it, or is empty.
    """
    found = list(tags)
    for tag in found:
        if tag.split() != [tag]:
            raise InvalidInputError("a tag in WebODM has no spaces", field="tags", value=tag)
    return found


def checked_key_tag(tag: str) -> str:
    """Return ``tag`` if WebODM's text search finds it and nothing else.

    Raises:
        InvalidInputError: It does not look like ``fl0123456789abcdef``.
    """
    if not KEY_TAG.fullmatch(tag):
        raise InvalidInputError("a key tag is fl and 16 hexadecimal digits", field="key_tag", value=tag)
    return tag


def task_options(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return options as WebODM takes them: it refuses all of them if one has a falsy value.

    A flag that is off is left out, which means the same; a zero becomes text.
    """
    return [
        {"name": name, "value": value or "0"}
        for name, value in options.items()
        if value not in (None, "") and value is not False
    ]
