"""Pause, resume, cancel and retry jobs; each may be sent again, and changes nothing then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Depends

from scaler.domain.jobs import Job, paused, resumed, retried
from scaler.jobs.opening import Jobs
from scaler.jobs.telling import canceled
from scaler.routes.seeing import JobView, Parts, view
from shared.service.access import authorised
from shared.state import Change, if_changed

router = APIRouter(dependencies=[Depends(authorised)])

Steer = Callable[[Job], Change[Job] | Job]


@router.post("/api/jobs/{job}/pause", summary="Stop scaling until it is resumed")
async def pause(job: str, parts: Parts) -> JobView:
    """Images that are in hand are finished; what was scaled is kept."""
    return await _steered(job, parts, lambda body: paused(body, datetime.now(UTC)))


@router.post("/api/jobs/{job}/resume", summary="Go on with a paused job")
async def resume(job: str, parts: Parts) -> JobView:
    """Go on where it was."""
    return await _steered(job, parts, lambda body: resumed(body, datetime.now(UTC)))


@router.post("/api/jobs/{job}/cancel", summary="Give a job up, and delete what it made")
async def cancel(job: str, parts: Parts) -> JobView:
    """Tell everybody who asked, and free the space; the originals stay."""
    return await _steered(job, parts, canceled)


@router.post("/api/jobs/{job}/retry-failed", summary="Try at once what failed, was rejected, or waits")
async def retry_failed(job: str, parts: Parts) -> JobView:
    """Images that are scaled stay; a job that waits for its next attempt makes it now."""
    return await _steered(job, parts, lambda body: retried(body, datetime.now(UTC)))


async def _steered(job: str, parts: Jobs, steer: Steer) -> JobView:
    seen = view(await parts.jobs.update(job, if_changed(steer)))
    parts.loop.wake()
    return seen
