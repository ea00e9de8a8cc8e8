"""Names of tasks and of the events that tell of their end."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from uuid import UUID, uuid5

from shared.events import ImagesStaged, Option

_NAMESPACE = UUID("6f2d2c0e-3c1b-5c0f-9a52-3f2a86b1f6a4")
WORKFLOW_PREFIX = "odm-pipeline-"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Those that Kubernetes uses in names of its own: they form no words."""
_RANDOM_LETTERS = 12

_SET_UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[1-7][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)


def task_id_of(staged: ImagesStaged, options: Sequence[Option]) -> str:
    """Name the task after what is to be processed and how, so that the same request names the same task."""
    facts = [
        staged.flight_id,
        staged.version,
        staged.scale.applied,
        sorted((option.name, option.value) for option in options),
        staged.rerun,
    ]
    return str(uuid5(_NAMESPACE, json.dumps(facts, separators=(",", ":"))))


def new_task_id() -> str:
    """Return an id that nobody has: the name of the task's workflow."""
    return WORKFLOW_PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM_LETTERS))


def task_key(task_id: str) -> str:
    """Return the id of a task's document: neither letter case nor its workflow's name make another task."""
    key = task_id.lower()
    bare = key.removeprefix(WORKFLOW_PREFIX)
    return bare if is_task_uuid(bare) else key


def workflow_name(task_id: str, attempt: int) -> str:
    """Return the name under which an engine runs an attempt at a task: whoever asks again finds it."""
    key = task_key(task_id)
    name = key if key.startswith(WORKFLOW_PREFIX) else WORKFLOW_PREFIX + key
    return name if attempt == 1 else f"{name}-a{attempt}"


def completion_id(task_id: str, inserted_us: int, attempt: int) -> str:
    """Name the one ``task-completed`` of an attempt; a removed task's id may be another's since."""
    return str(uuid5(_NAMESPACE, f"task-completed/{task_id}/{inserted_us}/{attempt}"))


def is_task_uuid(text: str) -> bool:
    """Return whether a client may choose ``text`` as a task's id: an RFC 4122 UUID of version 1 to 7."""
    return _SET_UUID.fullmatch(text) is not None
