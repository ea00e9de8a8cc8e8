"""Sends a job to a cluster, once, however often and by whomever that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass

import structlog

from odm_gateway.adapters.argo.clusters import Cluster, Clusters
from odm_gateway.adapters.argo.job_objects import JobObjects, Placement
from odm_gateway.adapters.argo.kubernetes import (
    CLAIMS,
    WORKFLOWS,
    AlreadyExistsError,
    Kubernetes,
    Manifest,
    QuotaError,
    Resource,
)
from odm_gateway.adapters.argo.submission import Recipe, claim, claim_name, is_of, workflow
from odm_gateway.domain.images import is_image
from odm_gateway.domain.sizing import Limits, Size, size_of
from odm_gateway.ports import Job
from shared.errors import PermanentError, TransientError

SUBMISSIONS_AT_MOST = 2
"""A workflow that somebody deleted, finalizer and all, is made once more; after that they seem to mean it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Submitted:
    """Where a job runs."""

    cluster: Cluster
    workflow: Manifest | None
    """None: there is none any more, but its result is there."""


@dataclass(frozen=True, slots=True)
class Submitter:
    """Sends jobs to clusters."""

    clusters: Clusters
    recipe: Recipe
    limits: Limits

    async def ensure(self, at: JobObjects) -> Submitted:
        """Return where the job runs, having sent it there if it does not.

        Raises:
            PermanentError: It cannot be sent, or it was deleted too often.
            NoRoomError: The clusters are full.
            QuotaError: The chosen one is; the next time, another one is chosen.
            TransientError: Its cluster cannot be reached now.
        """
        placement = await at.placement() or await self._place(at)
        cluster = self.clusters.named(placement.cluster)
        found = await cluster.kubernetes.get(WORKFLOWS, at.job.name)
        if found is not None:
            _check(found, WORKFLOWS, at.job)
            if placement.submissions == 0:  # its submitter died, or did not hear the answer
                await at.note_submission(placement)
            return Submitted(cluster, found)
        if placement.submissions and await at.result():
            return Submitted(cluster, None)
        if placement.submissions >= SUBMISSIONS_AT_MOST:
            raise PermanentError(
                f"The workflow {at.job.name} was deleted from the cluster {cluster.name} before it ended,"
                f" {placement.submissions} times."
            )
        try:
            return Submitted(cluster, await self._submit(at, cluster, placement))
        except QuotaError as error:
            await self._give_up_place(at, cluster, placement)
            raise QuotaError(f"{cluster.name}: {error}") from error

    async def _place(self, at: JobObjects) -> Placement:
        await self.clusters.tried()
        size = await self._size(at, self.limits)
        # Between the choice and being counted there is no wait: others choose meanwhile.
        chosen = self.clusters.choose(size.memory_gib[0], is_submodel=at.job.is_submodel)
        chosen.reflector.expect(at.job.name, is_submodel=at.job.is_submodel)
        placement = None
        try:
            has_choice = len(self.clusters.by_name) > 1  # else it is looked for where it is sent
            found = await self.clusters.find(at.job.name) if has_choice else None
            placement = await at.place((found or chosen).name)
        finally:
            if placement is None or placement.cluster != chosen.name:
                chosen.reflector.expect_no_longer(at.job.name)
        return placement

    async def _give_up_place(self, at: JobObjects, cluster: Cluster, placement: Placement) -> None:
        """Have a job that a full cluster refused go elsewhere, unless it has been there already."""
        cluster.note_full()
        if placement.submissions == 0:
            await cluster.kubernetes.delete(CLAIMS, claim_name(at.job))
            await at.forget_placement()

    async def _submit(self, at: JobObjects, cluster: Cluster, placement: Placement) -> Manifest:
        size = await self._size(at, self.limits.within(cluster.context.memory_gib))
        await at.write_manifest()
        await at.forget_failure()
        wanted = claim(at.job, size, self.recipe)
        try:
            await _make(cluster.kubernetes, CLAIMS, wanted, at.job)
            wanted = workflow(at.job, size, self.recipe, at.manifest_uri)
            made = await _make(cluster.kubernetes, WORKFLOWS, wanted, at.job)
        except BaseException:
            cluster.reflector.expect_no_longer(at.job.name)
            raise
        await at.note_submission(placement)
        log.info("workflow.submitted", workflow=at.job.name, cluster=placement.cluster, size=size)
        return made

    async def _size(self, at: JobObjects, limits: Limits) -> Size:
        job = at.job
        count, total = job.image_count, job.total_bytes
        if count <= 0 or total <= 0:
            there = [stored async for stored in at.objects.list(f"{job.images.rstrip('/')}/")]
            count = count if count > 0 else sum(is_image(stored.key) for stored in there)
            total = total if total > 0 else sum(stored.size_bytes for stored in there)
        return size_of(count, total, job.options, limits)


async def _to_its_end(making: Coroutine[None, None, Manifest]) -> Manifest:
    """Return what is made; who cancels this waits for it, too, and finds what there is to be stopped."""
    made = asyncio.ensure_future(making)
    try:
        return await asyncio.shield(made)
    except asyncio.CancelledError:
        await asyncio.wait([made])
        if not made.cancelled() and (error := made.exception()):
            log.info("workflow.refused", error=str(error))
        raise


async def _make(kubernetes: Kubernetes, resource: Resource, manifest: Manifest, job: Job) -> Manifest:
    """Make an object, or find that it was made."""
    try:
        return await _to_its_end(kubernetes.create(resource, manifest))
    except (AlreadyExistsError, QuotaError) as refused:  # a full quota counts even for what is there
        name = manifest["metadata"]["name"]
        found = await kubernetes.get(resource, name)
        if found is None and isinstance(refused, QuotaError):
            raise
    if found is None:
        raise TransientError(f"{resource.kind} {name} was deleted while it was made.")
    _check(found, resource, job)
    return found


def _check(found: Manifest, resource: Resource, job: Job) -> None:
    if not is_of(found, job):
        raise PermanentError(
            f"There is a {resource.kind} of the name {found['metadata']['name']} that is not ours;"
            " it was left alone."
        )
