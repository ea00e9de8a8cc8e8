"""The clusters that jobs may run in."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import structlog
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from odm_gateway.adapters.argo.kubernetes import WORKFLOWS, Kubernetes
from odm_gateway.adapters.argo.reflector import WINDOW, Pace, Reflector
from odm_gateway.adapters.argo.submission import OURS
from odm_gateway.argo_config import Context
from shared.errors import InvalidInputError, TransientError

REQUEST_TIMEOUT_S = 30.0
FIRST_ANSWER_WITHIN_S = 10.0

log = structlog.get_logger()


@dataclass(slots=True)
class Cluster:
    """One cluster."""

    context: Context
    kubernetes: Kubernetes
    reflector: Reflector
    _full_until_s: float = field(default=0.0, init=False)

    @property
    def name(self) -> str:
        """Return the name of its context."""
        return self.context.name

    @property
    def is_full(self) -> bool:
        """Return whether it refused a job lately."""
        return time.monotonic() < self._full_until_s

    def note_full(self) -> None:
        """Remember that it refused a job."""
        self._full_until_s = time.monotonic() + self.reflector.pace.full.total_seconds()

    def load(self, *, is_submodel: bool) -> float:
        """Return how much work it has, with one job more, for its weight."""
        return (self.reflector.count_open(is_submodel=is_submodel) + 1) / self.context.weight


class NoRoomError(TransientError):
    """The clusters that a job fits into have as many as they may have; they work on them."""

    def __init__(self, clusters: Sequence[Cluster]) -> None:
        super().__init__(f"No cluster has room ({', '.join(cluster.name for cluster in clusters)}).")
        self.clusters = clusters


@dataclass(frozen=True, slots=True)
class Clusters:
    """All clusters, by the names of their contexts."""

    by_name: Mapping[str, Cluster]
    window: int | None = None
    """Workflows of whole tasks that one cluster has together, whichever gateway made them; as many of parts,
    for which those wait. None: no limit."""

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

    def choose(self, memory_gib: int, *, is_submodel: bool = False) -> Cluster:
        """Return the cluster that has the least work for its weight, of those that a job fits into.

        Args:
            memory_gib: That it needs; where no cluster has so much, the largest ones have to do.
            is_submodel: Whether it is a part of a task that waits for it.

        Raises:
            NoRoomError: All in reach are full.
            TransientError: None is in reach.
        """
        fitting = self._fitting(memory_gib)
        within_reach = [cluster for cluster in fitting if cluster.reflector.is_fresh]
        if not within_reach:
            why = "; ".join(f"{one.name}: {one.reflector.trouble or 'silent'}" for one in fitting)
            raise TransientError(f"No cluster can be reached ({why}).")
        roomy = [cluster for cluster in within_reach if self.has_room(cluster, is_submodel=is_submodel)]
        if not roomy:
            raise NoRoomError(within_reach)
        return min(roomy, key=lambda cluster: cluster.load(is_submodel=is_submodel))

    def _fitting(self, memory_gib: int) -> list[Cluster]:
        most = {name: one.context.memory_gib or math.inf for name, one in self.by_name.items()}
        wanted = min(memory_gib, max(most.values()))
        return [one for name, one in self.by_name.items() if most[name] >= wanted]

    def has_room(self, cluster: Cluster, *, is_submodel: bool) -> bool:
        """Return whether it may have another job, as far as is known here."""
        if cluster.is_full:
            return False
        return self.window is None or cluster.reflector.count_open(is_submodel=is_submodel) < self.window


@asynccontextmanager
async def open_clusters(
    contexts: Sequence[Context],
    *,
    kubeconfig: Path | None,
    namespace: str | None,
    window: int | None = None,
    pace: Pace | None = None,
) -> AsyncIterator[Clusters]:
    """Open clients of all clusters; none of them has to be in reach.

    Args:
        contexts: Which ones; none: the cluster that this runs in, else the current context.
        kubeconfig: None: ``KUBECONFIG``, else the usual place.
        namespace: None: that of each context.
        window: See ``Clusters``.
        pace: Of their watches.

    Raises:
        InvalidInputError: The kubeconfig cannot be read, or has no such context.
    """
    async with AsyncExitStack() as stack:
        by_name = {}
        for config, context in _configs(contexts, kubeconfig):
            http = await stack.enter_async_context(_http(config))
            kubernetes = Kubernetes(http, namespace or config.namespace)
            reflector = Reflector(kubernetes, context.name, OURS, pace or Pace())
            by_name[context.name] = Cluster(context, kubernetes, reflector)
        for name in by_name:
            WINDOW.labels(name).set(math.inf if window is None else window)
        yield Clusters(by_name, window)


def _configs(contexts: Sequence[Context], kubeconfig: Path | None) -> list[tuple[SingleConfig, Context]]:
    try:
        config = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        chosen = [config.get(context.name) for context in contexts] or [config.get()]
    except Exception as error:  # somebody wrote that file: anything can be wrong with it
        raise InvalidInputError(
            f"There is no Kubernetes cluster to work with: {type(error).__name__}: {error}",
            field="argo_kubeconfig",
        ) from error
    singles = [single for single in chosen if single is not None]
    return list(zip(singles, contexts or [Context(single.context_name) for single in singles], strict=True))


def _http(config: SingleConfig) -> httpx2.AsyncClient:
    try:
        return AsyncClient(config, ConnectionParams(timeout=httpx2.Timeout(REQUEST_TIMEOUT_S)))
    except (ConfigError, OSError, AssertionError, ValueError) as error:
        raise InvalidInputError(
            f"The context {config.context_name} of the kubeconfig cannot be used: {error}",
            field="argo_kubeconfig",
        ) from error
