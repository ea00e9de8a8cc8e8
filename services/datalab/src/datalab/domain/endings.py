"""How operations end: with their computation, or because their owner wants that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from datalab.domain.asked import CANCELLED_MESSAGE, AskedOperation, State
from datalab.domain.computations import Computation, Outcome
from shared.events import TaskCompleted


def settled(operation: AskedOperation, computation: Computation) -> AskedOperation | None:
    """Return an operation with the end of its computation; None: one of the two goes on, or both ended."""
    if operation.state.is_final or computation.is_open or computation.is_expiring:
        return None
    outcome = computation.outcome
    progress = max(operation.progress, computation.progress)
    return operation.model_copy(
        update={
            "state": computation.state,
            "progress": 1.0 if computation.state is State.COMPLETED else progress,
            "message": computation.message,
            "output": outcome.model_dump(mode="json") if outcome else None,
            "ended_us": max(computation.ended_us, operation.created_us),
        }
    )


def given_up(operation: AskedOperation, progress: float, now_us: int) -> AskedOperation | None:
    """Return an operation as its owner cancels it; None: it has ended already."""
    if operation.state.is_final:
        return None
    return operation.model_copy(
        update={
            "state": State.CANCELLED,
            "progress": max(operation.progress, progress),
            "message": CANCELLED_MESSAGE,
            "ended_us": now_us,
        }
    )


def completion(operation: AskedOperation, started_us: int, uri: Callable[[str], str]) -> TaskCompleted:
    """Return what is told of an operation that has ended; ``uri`` makes one of the key of an object."""
    outcome = Outcome.model_validate(operation.output) if operation.output else Outcome()
    stored = [PurePosixPath(one.key) for one in outcome.stored()]
    facts = {
        "task_id": operation.document_id,
        "kind": "datalab",
        "name": operation.name,
        "status": _STATUS[operation.state],
        "error": operation.message or None if operation.state is State.FAILED else None,
        "outputs": uri(str(stored[0].parent)) if stored else None,
        "assets": tuple(one.name for one in stored),
        "started_at": started_us / 1e6 if started_us else None,
        "finished_at": operation.ended_us / 1e6,
        "session_id": str(operation.session),
    }
    return TaskCompleted.model_validate(facts)


_STATUS = {State.COMPLETED: "completed", State.FAILED: "failed", State.CANCELLED: "canceled"}
