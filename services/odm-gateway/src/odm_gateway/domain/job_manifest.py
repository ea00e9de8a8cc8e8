"""What the parts of a job on a cluster tell each other: objects below ``jobs/<job name>/``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.events import Option


class JobManifest(BaseModel):
    """What is to be done."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job: str
    task_id: str
    images_prefix: str
    """Key of the images' prefix."""
    manifest: str | None = None
    """Key of the list of files; None: everything below the prefix counts."""
    products: str
    """Key prefix that the products are to be stored under."""
    options: tuple[Option, ...] = ()
    outputs: tuple[str, ...] = ()


class ShippedChunk(BaseModel):
    """Some consecutive lines of a job's console, and how far it was then."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    first_line: int
    lines: tuple[str, ...] = ()
    percent: float = 0
    stage: str = ""
    peak_memory_bytes: int = 0


class JobResult(BaseModel):
    """The good end: every asset is stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    assets: tuple[str, ...]
    """Paths below the job's products."""
    summary: dict[str, Any] = {}
    exit_code: int = 0
    error: str | None = None


class JobFailure(BaseModel):
    """The bad end of an attempt."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    exit_code: int
    message: str
    peak_memory_bytes: int = 0


def job_key(job: str, name: str) -> str:
    """Return the key of an object that belongs to a job."""
    return f"jobs/{job}/{name}"


def job_file_key(job: str) -> str:
    """Return where the job itself is told."""
    return job_key(job, "job.json")


def result_key(job: str) -> str:
    """Return where a good end is told."""
    return job_key(job, "result.json")


def failure_key(job: str) -> str:
    """Return where a bad end is told."""
    return job_key(job, "failure.json")


def console_prefix(job: str) -> str:
    """Return the prefix of the console's chunks."""
    return job_key(job, "console/")


def console_key(job: str, sequence: int) -> str:
    """Return where a chunk of the console lies; keys sort by sequence."""
    return f"{console_prefix(job)}{sequence:08}.json"
