"""The end of a task, told in the very write that ends it."""

from __future__ import annotations

from odm_gateway.domain.completion import completion
from odm_gateway.domain.tasks import Task
from shared.state import Change


def told(old: Task, new: Task) -> Change[Task]:
    """Return the new task, and the event of its end where this change is what ended it."""
    is_end = new.status.finished and not old.status.finished
    return Change(new, [completion(new, None)] if is_end else [])
