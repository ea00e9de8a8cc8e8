"""What the gateway tells Prometheus of its tasks; what of clusters, see ``adapters.argo.reflector``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog
from prometheus_client import Counter, Gauge, Histogram

from odm_gateway.domain.tasks import OPEN, Status, Task
from shared.errors import PermanentError, TransientError
from shared.rhythm import until_next_s
from shared.state import Collection, Where

COUNT_EVERY_S = 60.0

TASKS_ENDED = Counter(
    "flightline_odm_tasks_ended_total", "Tasks that were worked on until they ended, by how.", ["status"]
)
TASK_SECONDS = Histogram(
    "flightline_odm_task_seconds",
    "From the beginning of the work on a task to its end.",
    ["status"],
    buckets=(10, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 172800),
)
OPEN_TASKS = Gauge("flightline_odm_tasks", "Tasks that have not ended; counted once a minute.", ["status"])
WAITING_OF_SHARE = Gauge(
    "flightline_odm_waiting_tasks",
    "Tasks that wait, of each tenant that has a share of its own in the settings; counted once a minute.",
    ["share"],
)

log = structlog.get_logger()


def note_end(task: Task) -> None:
    """Count a task that has just ended."""
    status = task.status.name.lower()
    TASKS_ENDED.labels(status).inc()
    if task.started_at and task.finished_at:
        TASK_SECONDS.labels(status).observe((task.finished_at - task.started_at).total_seconds())


async def count_tasks(tasks: Collection[Task], shares: Iterable[str]) -> None:
    """Count the tasks that there are, for ever."""
    while True:
        try:
            for status in OPEN:
                OPEN_TASKS.labels(status.name.lower()).set(await tasks.count({"status": int(status)}))
            for tenant in shares:
                waiting: Where = {"tenant": tenant, "is_submodel": False, "status": int(Status.QUEUED)}
                WAITING_OF_SHARE.labels(tenant).set(await tasks.count(waiting))
        except (PermanentError, TransientError) as error:
            log.debug("tasks.not_counted", error=str(error))
        await asyncio.sleep(until_next_s(COUNT_EVERY_S))
