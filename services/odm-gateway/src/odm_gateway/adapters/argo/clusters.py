"""The clusters that jobs may run in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import structlog
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from odm_gateway.adapters.argo.kubernetes import WORKFLOWS, Kubernetes
from odm_gateway.adapters.argo.reflector import Pace, Reflector
from odm_gateway.adapters.argo.submission import OURS
from shared.errors import InvalidInputError, TransientError

REQUEST_TIMEOUT_S = 30.0
FIRST_ANSWER_WITHIN_S = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster."""

    name: str
    weight: float
    kubernetes: Kubernetes
    reflector: Reflector


@dataclass(frozen=True, slots=True)
class Clusters:
    """All clusters, by the names of their contexts."""

    by_name: Mapping[str, Cluster]

    def named(self, name: str) -> Cluster:
        """Return the cluster that a job was sent to.

        Raises:
            TransientError: It is not among those that are set.
        """
        if name not in self.by_name:
            raise TransientError(
                f"The job runs in the cluster {name}, which is not among ODM_GATEWAY_ARGO_CONTEXTS."
            )
        return self.by_name[name]

    async def find(self, job_name: str) -> Cluster | None:
        """Return the cluster that has a workflow of this name; those out of reach cannot be asked."""
        for cluster in self.by_name.values():
            try:
                if await cluster.kubernetes.get(WORKFLOWS, job_name):
                    return cluster
            except TransientError as error:
                log.warning("cluster.unavailable", cluster=cluster.name, error=str(error))
        return None

    async def tried(self) -> None:
        """Return once every cluster was asked for what it has, or did not answer for too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_ANSWER_WITHIN_S):
                for cluster in self.by_name.values():
                    await cluster.reflector.tried()

    def emptiest(self) -> Cluster:
        """Return the cluster that has the least work for its weight.

        Raises:
            TransientError: None is in reach.
        """
        within_reach = [cluster for cluster in self.by_name.values() if cluster.reflector.is_fresh]
        if not within_reach:
            raise TransientError(f"No cluster can be reached ({', '.join(self.by_name)}).")
        return min(within_reach, key=lambda cluster: (cluster.reflector.open_count + 1) / cluster.weight)


@asynccontextmanager
async def open_clusters(
    contexts: Sequence[tuple[str, float]],
    *,
    kubeconfig: Path | None,
    namespace: str | None,
    pace: Pace | None = None,
) -> AsyncIterator[Clusters]:
    """Open clients of all clusters; none of them has to be in reach.

    Args:
        contexts: Their names and weights; none: the cluster that this runs in, else the current context.
        kubeconfig: None: ``KUBECONFIG``, else the usual place.
        namespace: None: that of each context.
        pace: Of their watches.

    Raises:
        InvalidInputError: The kubeconfig cannot be read, or has no such context.
    """
    async with AsyncExitStack() as stack:
        by_name = {}
        for config, weight in _configs(contexts, kubeconfig):
            http = await stack.enter_async_context(_http(config))
            kubernetes = Kubernetes(http, namespace or config.namespace)
            name = config.context_name
            by_name[name] = Cluster(
                name, weight, kubernetes, Reflector(kubernetes, name, OURS, pace or Pace())
            )
        yield Clusters(by_name)


def _configs(
    contexts: Sequence[tuple[str, float]], kubeconfig: Path | None
) -> list[tuple[SingleConfig, float]]:
    try:
        config = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        chosen = [(config.get(name), weight) for name, weight in contexts] or [(config.get(), 1.0)]
    except Exception as error:  # somebody wrote that file: anything can be wrong with it
        raise InvalidInputError(
            f"There is no Kubernetes cluster to work with: {type(error).__name__}: {error}",
            field="argo_kubeconfig",
        ) from error
    return [(single, weight) for single, weight in chosen if single is not None]


def _http(config: SingleConfig) -> httpx2.AsyncClient:
    try:
        return AsyncClient(config, ConnectionParams(timeout=httpx2.Timeout(REQUEST_TIMEOUT_S)))
    except (ConfigError, OSError, AssertionError, ValueError) as error:
        raise InvalidInputError(
            f"The context {config.context_name} of the kubeconfig cannot be used: {error}",
            field="argo_kubeconfig",
        ) from error
