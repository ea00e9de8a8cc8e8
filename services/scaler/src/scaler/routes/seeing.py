"""Jobs as HTTP clients see them, and what routes need to look at them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from pydantic import AwareDatetime, BaseModel, Field

from scaler.config import Settings
from scaler.domain.asks import Interpolation
from scaler.domain.jobs import Job, JobKind, JobState
from scaler.jobs.opening import Jobs
from shared.state import Document


class JobView(BaseModel):
    """A job and how far it is."""

    id: str
    kind: JobKind
    name: str
    flight_id: str | None
    version: str | None
    source: str = Field(description="What is scaled: a URI, without query and credentials.")
    factor: float
    interpolation: Interpolation
    quality: int | None = Field(description="null: that of each image.")
    subsampling: str | None = Field(description="null: that of each image.")
    state: JobState
    images_total: int = Field(description="0 until the images were listed.")
    images_done: int = Field(description="Scaled or rejected; written down piece by piece.")
    images_rejected: int
    rejected: dict[str, int] = Field(description="Images that cannot be scaled, by the code of the reason.")
    bytes_total: int
    bytes_done: int
    written_bytes: int
    attempt: int
    next_attempt_at: AwareDatetime | None
    error: str | None
    prefix: str | None = Field(description="URI of the folder of the results, once all are there.")
    manifest: str | None
    result: str | None = Field(description="Path of the result, where the job is about one image.")
    created_at: AwareDatetime
    updated_at: AwareDatetime


def view(document: Document[Job]) -> JobView:
    """Return a job for clients."""
    job, amounts, result = document.body, document.body.amounts, document.body.result
    is_image = job.kind is JobKind.IMAGE
    return JobView(
        id=document.id,
        kind=job.kind,
        name=job.name,
        flight_id=None if is_image else job.request.flight_id,
        version=None if is_image else job.request.version,
        source=job.source,
        factor=job.asks.factor,
        interpolation=job.asks.interpolation,
        quality=job.asks.quality,
        subsampling=job.asks.subsampling,
        state=job.state,
        images_rejected=sum(amounts.rejected.values()),
        attempt=job.attempt,
        next_attempt_at=_next_attempt_at(job),
        error=job.error,
        prefix=result.prefix if result else None,
        manifest=result.manifest if result else None,
        result=result_path(document.id) if result and result.key else None,
        created_at=job.created_at,
        updated_at=job.updated_at,
        **amounts.model_dump(),
    )


def result_path(job_id: str) -> str:
    """Return where a job's result is downloaded."""
    return f"/api/jobs/{job_id}/result"


def _next_attempt_at(job: Job) -> datetime | None:
    if job.state is not JobState.SCALING or job.error is None:
        return None
    return datetime.fromtimestamp(job.due_s, UTC)


def _parts(request: Request) -> Jobs:
    parts: Jobs = request.state.jobs
    return parts


def _settings(request: Request) -> Settings:
    settings: Settings = request.state.settings
    return settings


Parts = Annotated[Jobs, Depends(_parts)]
Chosen = Annotated[Settings, Depends(_settings)]
