"""What scaler hears: staged flights whose images are to be scaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from scaler.domain.asks import Asks
from scaler.domain.jobs import Job, JobKind, asked, job_id_of
from shared.events import Event, ImagesStaged
from shared.state import Collection


async def begin_job(
    event: Event[ImagesStaged],
    *,
    jobs: Collection[Job],
    asks: Asks,
    wake: Callable[[], None],
) -> None:
    """Write down that a version is to be scaled; images that are, or that nobody wants scaled, are left.

    Args:
        event: Of staged images.
        jobs: Where it is written down.
        asks: How images are scaled, but for the factor.
        wake: Called when there is something to do.
    """
    staged = event.data
    if staged.scale.requested is None or staged.scale.applied is not None:
        return
    now = datetime.now(UTC)
    new = Job(
        kind=JobKind.FLIGHT,
        name=staged.name,
        asks=replace(asks, factor=staged.scale.requested),
        requests=(event,),
        source=staged.manifest or staged.prefix,
        created_at=now,
        updated_at=now,
    )
    name = job_id_of(staged.flight_id, staged.version, staged.scale.requested)
    _, is_new = await jobs.ensure(name, new, seen=event)
    if not is_new:
        await jobs.update(name, lambda job: asked(job, event, now), seen=event)
    wake()
