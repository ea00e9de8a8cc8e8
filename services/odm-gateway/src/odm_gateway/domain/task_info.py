"""A task in the words of the NodeODM API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from odm_gateway.domain.tasks import Status, Task


def task_info(
    task: Task, now: datetime, cleanup: timedelta | None = None, outputs: str | None = None
) -> dict[str, Any]:
    """Return what ``/task/{uuid}/info`` says, console aside.

    Args:
        task: Which.
        now: Time of the answer.
        cleanup: How long after its end a task is kept; None: for ever.
        outputs: URI of the prefix that its products lie under, told once there are any.
    """
    shown = task.shown_status(now)
    status: dict[str, Any] = {"code": int(shown)}
    if shown is Status.FAILED and task.error:
        status["errorMessage"] = task.error
    expires_at = task.expires_at(cleanup)
    info = {
        "uuid": task.id,
        "name": task.shown_name,
        "dateCreated": round(task.created_at.timestamp() * 1000),
        "processingTime": task.processing_ms(now),
        "status": status,
        "options": [{"name": option.name, "value": option.value} for option in task.options],
        "imagesCount": task.image_count,
        "progress": 100 if shown.finished else _as_javascript(task.progress),
        "outputs": outputs if task.assets else None,
        "expiresAt": expires_at.isoformat(timespec="seconds") if expires_at else None,
    }
    return {name: value for name, value in info.items() if value is not None}


def _as_javascript(number: float) -> float:
    """Return whole numbers without a fraction: some clients decode them as integers."""
    return int(number) if number.is_integer() else number
