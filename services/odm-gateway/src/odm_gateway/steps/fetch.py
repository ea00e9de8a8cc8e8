"""Brings a job and its files into the workspace, verified; what is there already is not fetched again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

import structlog

from odm_gateway.adapters.staging import Staging
from odm_gateway.domain.manifest import ListedFile
from odm_gateway.ports import Job
from odm_gateway.runner.workspace import write_whole
from odm_gateway.steps.opening import Step
from shared.errors import PermanentError

SPARE_BYTES = 256 << 20
TOLD_EVERY_FILES = 500

log = structlog.get_logger()


async def fetch(step: Step) -> None:
    """Fill the workspace; ``job.json`` comes last.

    Raises:
        PermanentError: Files are gone, are not what was announced, or do not fit.
        TransientError: The object store cannot be reached.
    """
    staging = Staging(step.objects)
    files = await staging.files(_job(step))
    images = step.workspace.images
    await asyncio.to_thread(_check_room, files, images)
    async for count in staging.stage(files, images):
        if count % TOLD_EVERY_FILES == 0:
            log.info("files.fetched", count=count, of=len(files))
    log.info("files.fetched", count=len(files), of=len(files))
    await asyncio.to_thread(write_whole, step.workspace.folder / "job.json", step.job.model_dump_json())


def _job(step: Step) -> Job:
    job = step.job
    return Job(
        task_id=job.task_id,
        name=job.job,
        images=job.images_prefix,
        manifest=job.manifest,
        options=job.options,
        products=job.products,
        outputs=job.outputs,
    )


def _check_room(files: Iterable[ListedFile], images: Path) -> None:
    """Raise unless everything fits; ODM needs a multiple of that, which is the volume's affair."""
    images.mkdir(parents=True, exist_ok=True)
    there = sum(path.stat().st_size for path in images.iterdir() if path.is_file())
    needed = sum(file.size_bytes for file in files) - there
    free = shutil.disk_usage(images).free
    if needed + SPARE_BYTES > free:
        raise PermanentError(
            f"The images need {needed / (1 << 30):.1f} GiB more, and the workspace has"
            f" {free / (1 << 30):.1f} GiB left: it needs a larger volume."
        )
