"""Runs jobs as workflows of one or several clusters.

A job is what lies below ``jobs/<job name>/`` in the object store, a volume claim and a workflow, all three
named after it: whoever follows it next, after a crash or elsewhere, finds them and goes on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from odm_gateway.adapters.argo.clusters import Cluster, Clusters
from odm_gateway.adapters.argo.following import Following, Patience, stop
from odm_gateway.adapters.argo.job_objects import JobObjects
from odm_gateway.adapters.argo.kubernetes import CLAIMS, WORKFLOWS, ChangedError, Manifest
from odm_gateway.adapters.argo.outcome import status_of
from odm_gateway.adapters.argo.sending import Sending
from odm_gateway.adapters.argo.submission import FINALIZER, Recipe, claim_name, is_of
from odm_gateway.adapters.argo.submitting import Submitter
from odm_gateway.domain.sizing import Limits
from odm_gateway.ports import EngineEvent, Failed, Job, Line
from shared.errors import PermanentError
from shared.objects.port import ObjectStore

LET_GO_TRIES = 5


@dataclass(frozen=True, slots=True)
class ArgoEngine:
    """An engine in Kubernetes clusters; see ``odm_gateway.ports.Engine``."""

    objects: ObjectStore
    clusters: Clusters
    recipe: Recipe
    limits: Limits
    patience: Patience = field(default_factory=Patience)

    @asynccontextmanager
    async def follow(self, job: Job) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        """Attach to the job of this name, starting it where it does not run."""
        async with aclosing(self._run(job)) as events:
            yield events

    async def cancel(self, job: Job) -> None:
        """Tell the job's workflow to stop; what it has done so far stays until it is removed."""
        for cluster, found in await _found(await self._possible(job), job):
            status = status_of(found)
            if not status.has_ended:
                await stop(cluster, job.name, status)

    async def remove(self, job: Job) -> None:
        """Delete the job's workflow, workspace and notes; its end must have been recorded."""
        clusters = await self._possible(job)
        for cluster, found in await _found(clusters, job):
            await _let_go(cluster, job, found)
            await cluster.kubernetes.delete(WORKFLOWS, job.name)
        for cluster in clusters:
            await cluster.kubernetes.delete(CLAIMS, claim_name(job))
        await JobObjects(self.objects, job).remove()

    async def _run(self, job: Job) -> AsyncGenerator[EngineEvent, None]:
        submitter = Submitter(self.clusters, self.recipe, self.limits)
        at = JobObjects(self.objects, job)
        try:
            async with aclosing(Sending(at, submitter, self.patience).events()) as sending:
                async for news in sending:
                    if isinstance(news, Line):
                        yield news
                    else:
                        submitted = news
            yield Line(f"{job.name} runs in the cluster {submitted.cluster.name}.")
            following = Following(at, submitter, self.patience, submitted.cluster, submitted.workflow)
            async with aclosing(following.events()) as events:
                async for event in events:
                    yield event
        except PermanentError as error:
            yield Failed(str(error))

    async def _possible(self, job: Job) -> list[Cluster]:
        """Return the clusters that may have something of the job."""
        placement = await JobObjects(self.objects, job).placement()
        if placement is None:
            return list(self.clusters.by_name.values())
        return [self.clusters.named(placement.cluster)]


async def _found(clusters: Iterable[Cluster], job: Job) -> list[tuple[Cluster, Manifest]]:
    found = []
    for cluster in clusters:
        workflow = await cluster.kubernetes.get(WORKFLOWS, job.name)
        if workflow is not None and is_of(workflow, job):
            found.append((cluster, workflow))
    return found


async def _let_go(cluster: Cluster, job: Job, workflow: Manifest) -> None:
    """Take our finalizer, and nobody else's, off the job's workflow.

    Raises:
        TransientError: Somebody else changed the workflow every time.
    """
    found: Manifest | None = workflow
    for attempt in range(LET_GO_TRIES):
        finalizers = (found or {}).get("metadata", {}).get("finalizers") or []
        if found is None or FINALIZER not in finalizers:
            return
        patch = {
            "metadata": {
                "finalizers": [name for name in finalizers if name != FINALIZER],
                "resourceVersion": found["metadata"]["resourceVersion"],  # refused if it changed meanwhile
            }
        }
        try:
            await cluster.kubernetes.merge(WORKFLOWS, job.name, patch)
        except ChangedError:
            if attempt == LET_GO_TRIES - 1:
                raise
            found = await cluster.kubernetes.get(WORKFLOWS, job.name)
        else:
            return
