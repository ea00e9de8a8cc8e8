"""Sends a job to a cluster, once, however often and by whomever that is asked for."""

from __future__ import annotations

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
    Resource,
)
from odm_gateway.adapters.argo.submission import Recipe, claim, is_of, workflow
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
        return Submitted(cluster, await self._submit(at, cluster, placement))

    async def _place(self, at: JobObjects) -> Placement:
        await self.clusters.tried()
        emptiest = self.clusters.emptiest()
        emptiest.reflector.expect(at.job.name)
        try:
            return await at.place((await self.clusters.find(at.job.name) or emptiest).name)
        except BaseException:
            emptiest.reflector.expect_no_longer(at.job.name)
            raise

    async def _submit(self, at: JobObjects, cluster: Cluster, placement: Placement) -> Manifest:
        size = await self._size(at)
        await at.write_manifest()
        await at.forget_failure()
        wanted = claim(at.job, size, self.recipe)
        await _make(cluster.kubernetes, CLAIMS, wanted, at.job)
        wanted = workflow(at.job, size, self.recipe, at.manifest_uri)
        try:
            made = await _make(cluster.kubernetes, WORKFLOWS, wanted, at.job)
        except BaseException:
            cluster.reflector.expect_no_longer(at.job.name)
            raise
        await at.note_submission(placement)
        log.info("workflow.submitted", workflow=at.job.name, cluster=placement.cluster, size=size)
        return made

    async def _size(self, at: JobObjects) -> Size:
        job = at.job
        count, total = job.image_count, job.total_bytes
        if count <= 0 or total <= 0:
            there = [stored async for stored in at.objects.list(f"{job.images.rstrip('/')}/")]
            count = count if count > 0 else sum(is_image(stored.key) for stored in there)
            total = total if total > 0 else sum(stored.size_bytes for stored in there)
        return size_of(count, total, job.options, self.limits)


async def _make(kubernetes: Kubernetes, resource: Resource, manifest: Manifest, job: Job) -> Manifest:
    """Make an object, or find that it was made."""
    try:
        return await kubernetes.create(resource, manifest)
    except AlreadyExistsError:
        name = manifest["metadata"]["name"]
        found = await kubernetes.get(resource, name)
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
