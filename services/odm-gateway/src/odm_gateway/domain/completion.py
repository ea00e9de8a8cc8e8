"""The event that tells of a task's end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from odm_gateway.domain.identity import completion_id
from odm_gateway.domain.tasks import Status, Task
from shared.events import Event, TaskCompleted, new_event

SOURCE = "flightline/odm-gateway"

_ENDS: dict[Status, Literal["completed", "failed", "canceled"]] = {
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.CANCELED: "canceled",
}


def completion(task: Task, outputs: str | None) -> Event[TaskCompleted]:
    """Return ``task-completed`` of a finished task; its id is the same however often it is built.

    Args:
        task: A finished task.
        outputs: URI of the prefix that its products lie under.
    """
    flight = task.flight
    event = new_event(
        SOURCE,
        TaskCompleted(
            task_id=task.id,
            kind="odm",
            name=task.shown_name or task.id,
            status=_ENDS[task.status],
            error=task.error,
            outputs=outputs if task.assets else None,
            assets=task.assets,
            summary=task.summary,
            started_at=task.started_at,
            finished_at=task.finished_at or datetime.now(UTC),
            flight_id=flight.flight_id if flight else None,
            version=flight.version if flight else None,
            rerun=flight.rerun if flight else 0,
        ),
        event_id=completion_id(task.id, task.inserted_us, task.attempt),
    )
    if flight is None:
        return event
    return event.model_copy(
        update={
            "correlationid": flight.correlation_id,
            "causationid": flight.event_id,
            "traceparent": event.traceparent or flight.traceparent,
        }
    )
