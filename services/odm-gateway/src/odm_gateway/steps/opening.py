"""What every step stands on: the job, its workspace, and the object store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from odm_gateway.domain.job_manifest import JobManifest
from odm_gateway.runner.workspace import Workspace
from shared.errors import NotFoundError, PermanentError
from shared.objects.open import open_objects
from shared.objects.port import ObjectStore
from shared.settings import PlatformSettings


@dataclass(frozen=True, slots=True)
class Step:
    """A step at work."""

    job: JobManifest
    workspace: Workspace
    objects: ObjectStore


@asynccontextmanager
async def open_step(settings: PlatformSettings, manifest: str, folder: Path) -> AsyncIterator[Step]:
    """Open what a step works with.

    Args:
        settings: Where the object store is.
        manifest: URI or key of the object that tells the job.
        folder: The workspace; absolute, without links.

    Raises:
        PermanentError: There is no such job, or it cannot be read.
        TransientError: The object store cannot be reached.
    """
    async with open_objects(
        settings.objects,
        endpoint_url=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
    ) as objects:
        key = objects.key(manifest) if "://" in manifest else manifest
        yield Step(await _job(objects, key), Workspace(folder), objects)


async def _job(objects: ObjectStore, key: str) -> JobManifest:
    try:
        return JobManifest.model_validate_json(await objects.read(key))
    except (NotFoundError, ValidationError) as error:
        raise PermanentError(f"The job cannot be read: {error}") from error
