"""Webhooks: who is told of a task's end, and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from odm_gateway.domain.identity import completion_id
from odm_gateway.domain.task_info import task_info
from odm_gateway.domain.tasks import End, Status, Task
from shared.errors import InvalidInputError
from shared.events import TaskCompleted

IGNORED_CHARACTERS = 3
"""NodeODM takes a webhook of so few characters for none."""

TELLING_S = 15.0
"""Longer than a webhook may take to answer; whoever has not told it by then has died."""

PATIENCE = timedelta(hours=2)
"""A removed task's document outlives it for as long as its webhook may still be retried."""

_ENDS: dict[str, End] = {
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
}


@dataclass(frozen=True, slots=True)
class Hook:
    """Somebody who wants to hear of ends."""

    name: str
    url: str
    is_trusted: bool
    """Named by the operator: it may lie on a private address."""


def webhook_url(raw: object) -> str | None:
    """Return the webhook that a request wants, or None for none.

    Raises:
        InvalidInputError: It is no such URL; the message does not repeat it, because it may hold a secret.
    """
    if not isinstance(raw, str) or len(raw.strip()) <= IGNORED_CHARACTERS:
        return None
    try:
        url = urlsplit(raw.strip())
        is_url = url.scheme.lower() in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise InvalidInputError("webhook must be a URL that begins with http:// or https://", field="webhook")
    return raw.strip()


def attempt_of(task: Task, event_id: str) -> int | None:
    """Return which attempt at ``task`` ended with this event, or None if none did."""
    attempts = range(task.attempt, 0, -1)
    return next(
        (number for number in attempts if completion_id(task.id, task.inserted_us, number) == event_id), None
    )


def hooks_to_tell(task: Task, node_hook: str | None, attempt: int) -> list[Hook]:
    """Return who has not heard of the end of ``attempt`` yet: the task's own hook, and the node's."""
    hooks = [
        Hook("task", task.webhook, is_trusted=False) if task.webhook else None,
        Hook("node", node_hook, is_trusted=True) if node_hook else None,
    ]
    return [hook for hook in hooks if hook and _mark(attempt, hook.name) not in task.hooks_told]


def telling(task: Task, now_s: float) -> Task | None:
    """Return the task as one of whose end somebody tells; None: somebody else does."""
    if task.telling_until_s > now_s:
        return None
    return task.model_copy(update={"telling_until_s": now_s + TELLING_S})


def told(task: Task, attempt: int, names: Sequence[str]) -> Task:
    """Return the task with hooks that have heard of the end of ``attempt``, and nobody telling any more."""
    marks = (*task.hooks_told, *(_mark(attempt, name) for name in names))
    return task.model_copy(update={"hooks_told": tuple(dict.fromkeys(marks)), "telling_until_s": 0.0})


def forgotten_at(task: Task, now: datetime) -> datetime:
    """Return when the document of a removed task may go: at once, unless its webhook may still be told."""
    is_waiting = task.webhook and _mark(task.attempt, "task") not in task.hooks_told
    return now + PATIENCE if is_waiting else now


def _mark(attempt: int, name: str) -> str:
    return f"{attempt}/{name}"


def payload(task: Task, end: TaskCompleted, images: list[Any]) -> dict[str, Any]:
    """Return what webhooks are sent: NodeODM's words, and where the products lie.

    Args:
        task: As it is now, perhaps restarted since.
        end: What happened.
        images: Content of the engine's ``images.json``.
    """
    then = task.model_copy(
        update={
            "status": _ENDS[end.status], "error": end.error, "started_at": end.started_at,
            "finished_at": end.finished_at, "cancel_requested": False,
        }
    )  # fmt: skip
    return task_info(then, end.finished_at) | {
        "images": images,
        "outputs": end.outputs,
        "assets": list(end.assets),
    }


def task_of(end: TaskCompleted) -> Task:
    """Return what is known of a task whose document is gone already."""
    return Task(
        id=end.task_id,
        name=end.name,
        created_at=end.started_at or end.finished_at,
        inserted_us=0,
        images="",
    )
