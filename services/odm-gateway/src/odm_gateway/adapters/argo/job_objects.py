"""What lies below ``jobs/<job name>/`` in the object store: what a job's steps read and write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from odm_gateway.domain.job_manifest import (
    JobFailure,
    JobResult,
    ShippedChunk,
    console_prefix,
    failure_key,
    job_file_key,
    job_key,
    result_key,
)
from odm_gateway.ports import Job
from shared.errors import InvalidInputError, NotFoundError
from shared.objects.port import ObjectExistsError, ObjectStore

M = TypeVar("M", bound=BaseModel)

SMALL_BYTES = 16 << 20
"""Nothing that a step writes here is larger."""

log = structlog.get_logger()


class Placement(BaseModel):
    """Where a job runs, so that every gateway looks there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cluster: str
    submissions: int = 0
    """Workflows that were made for it, as far as is known."""


@dataclass(frozen=True, slots=True)
class JobObjects:
    """The objects of one job."""

    objects: ObjectStore
    job: Job

    @property
    def manifest_uri(self) -> str:
        """Return where the steps read what the job is."""
        return self.objects.uri(job_file_key(self.job.name))

    async def write_manifest(self) -> None:
        """Tell the steps what the job is."""
        await self._put(job_file_key(self.job.name), self.job.told)

    async def placement(self) -> Placement | None:
        """Return where the job was sent, if it was."""
        return await self._read(self._placement_key, Placement)

    async def place(self, cluster: str) -> Placement:
        """Remember where the job is sent; whoever came first decides."""
        placement = Placement(cluster=cluster)
        try:
            await self.objects.put(
                self._placement_key, placement.model_dump_json().encode(), create_only=True
            )
        except ObjectExistsError:
            return await self.placement() or placement
        return placement

    async def forget_placement(self) -> None:
        """Let the job be sent anywhere."""
        await self.objects.delete(self._placement_key)

    async def note_submission(self, placement: Placement) -> Placement:
        """Remember that there is a workflow more."""
        placement = placement.model_copy(update={"submissions": placement.submissions + 1})
        await self._put(self._placement_key, placement)
        return placement

    async def forget_failure(self) -> None:
        """Delete what an earlier workflow left behind."""
        await self.objects.delete(failure_key(self.job.name))

    async def result(self) -> JobResult | None:
        """Return what the job made, once all is stored."""
        return await self._read(result_key(self.job.name), JobResult)

    async def failure(self) -> JobFailure | None:
        """Return how the odm step ended, if it ended badly."""
        return await self._read(failure_key(self.job.name), JobFailure)

    async def chunk_keys(self, after: str | None) -> list[str]:
        """Return the keys of the console's chunks behind the key ``after``, in order."""
        return [stored.key async for stored in self.objects.list(console_prefix(self.job.name), after=after)]

    async def chunk(self, key: str) -> ShippedChunk | None:
        """Return a chunk of the console, or None if it cannot be read."""
        return await self._read(key, ShippedChunk)

    async def missing(self, result: JobResult) -> list[str]:
        """Return which assets of ``result`` are not in the object store."""
        folder = f"{self.job.products}/"
        there = {stored.key.removeprefix(folder) async for stored in self.objects.list(folder)}
        return [asset for asset in result.assets if asset not in there]

    async def remove(self) -> None:
        """Delete all of them."""
        for key in [stored.key async for stored in self.objects.list(job_key(self.job.name, ""))]:
            await self.objects.delete(key)

    @property
    def _placement_key(self) -> str:
        return job_key(self.job.name, "placement.json")

    async def _put(self, key: str, model: BaseModel) -> None:
        await self.objects.put(key, model.model_dump_json().encode(), content_type="application/json")

    async def _read(self, key: str, model: type[M]) -> M | None:
        try:
            return model.model_validate_json(await self.objects.read(key, at_most=SMALL_BYTES))
        except NotFoundError:
            return None
        except (ValidationError, InvalidInputError) as error:
            log.warning("job_object.unreadable", key=key, error=str(error))
            return None
