"""Puts the ``argo`` engine together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from odm_gateway.adapters.argo.clusters import open_clusters
from odm_gateway.adapters.argo.engine import ArgoEngine
from odm_gateway.adapters.argo.following import Patience
from odm_gateway.adapters.argo.submission import Recipe
from odm_gateway.argo_config import ArgoSettings, context_of
from odm_gateway.domain.sizing import Limits
from shared.objects.port import ObjectStore
from shared.service import Service

QUIET_FACTOR = 10 / 3
"""Where nothing comes, one looks every 10 s instead of every 3."""
SETTLE_FACTOR = 1 / 3
"""Where much comes, one looks at a workflow every second."""


@asynccontextmanager
async def open_argo(
    settings: ArgoSettings, objects: ObjectStore, service: Service
) -> AsyncIterator[ArgoEngine]:
    """Open the clusters, watched as long as ``service`` runs.

    Raises:
        InvalidInputError: The kubeconfig cannot be used.
    """
    async with open_clusters(
        [context_of(text) for text in settings.argo_contexts],
        kubeconfig=settings.argo_kubeconfig,
        namespace=settings.argo_namespace,
        window=settings.argo_window,
    ) as clusters:
        for cluster in clusters.by_name.values():
            service.background(f"watch of {cluster.name}", cluster.reflector.run)
        yield ArgoEngine(objects, clusters, _recipe(settings), _limits(settings), _patience(settings))


def _recipe(settings: ArgoSettings) -> Recipe:
    return Recipe(
        template=settings.argo_template,
        odm_image=settings.argo_odm_image,
        gpu_image=settings.argo_gpu_image,
        gpu_template=settings.argo_gpu_template,
        storage_class=settings.argo_storage_class,
    )


def _limits(settings: ArgoSettings) -> Limits:
    return Limits(
        memory_gib=(settings.argo_min_memory_gib, settings.argo_max_memory_gib),
        cores=settings.argo_max_cores,
        disk_gib=settings.argo_max_disk_gib,
        deadline=settings.argo_deadline,
        on_demand_from_images=settings.argo_on_demand_from_images,
    )


def _patience(settings: ArgoSettings) -> Patience:
    return Patience(
        poll=settings.argo_poll,
        poll_at_most=settings.argo_poll * QUIET_FACTOR,
        settle=settings.argo_poll * SETTLE_FACTOR,
        look=(settings.argo_look_every / 2, settings.argo_look_every),
        stuck_after=settings.argo_stuck_after,
        trouble=settings.argo_trouble_after,
        no_room=settings.argo_no_room_after,
    )
