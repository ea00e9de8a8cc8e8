"""A corner of a cluster, simulated or real, for one test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from odm_gateway.adapters.argo.clusters import Cluster, open_clusters
from odm_gateway.adapters.argo.kubernetes import WORKFLOWS, Kubernetes, Manifest
from shared.errors import PermanentError, TransientError

REAL = "FLIGHTLINE_TEST_KUBECONFIG"
"""Not ``KUBECONFIG``: whoever has that set does not mean that tests may write to the cluster."""


def real_kubeconfig() -> Path:
    """Return the kubeconfig of a real cluster; the test is skipped where none is meant to be tried."""
    if not (named := os.environ.get(REAL)):
        pytest.skip(f"{REAL} is not set (make test-cluster sets it): not tried on a real cluster")
    return Path(named)


@dataclass(frozen=True)
class Corner:
    """A corner of a cluster for one test: workflows that no controller looks at."""

    cluster: Cluster
    key: str = field(default_factory=lambda: uuid4().hex[:10])

    @property
    def client(self) -> Kubernetes:
        return self.cluster.kubernetes

    @property
    def selector(self) -> str:
        return f"flightline.io/test={self.key}"

    def name(self, suffix: str) -> str:
        return f"flightline-test-{self.key}-{suffix}"

    def workflow(self, suffix: str, **metadata: Any) -> Manifest:
        labels = {"flightline.io/test": self.key, "workflows.argoproj.io/controller-instanceid": self.key}
        return {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": {"name": self.name(suffix), "labels": labels, **metadata},
            "spec": {"workflowTemplateRef": {"name": "flightline-test"}},
        }  # fmt: skip

    async def make(self, suffix: str, **metadata: Any) -> Manifest:
        return await self.client.create(WORKFLOWS, self.workflow(suffix, **metadata))

    async def version(self) -> str:
        return (await self.client.page(WORKFLOWS, selector=self.selector)).version

    async def clean(self) -> None:
        for item in (await self.client.page(WORKFLOWS, selector=self.selector)).items:
            await self.client.merge(WORKFLOWS, item["metadata"]["name"], {"metadata": {"finalizers": None}})
            await self.client.delete(WORKFLOWS, item["metadata"]["name"])

    async def dry_run(self, plural: str, manifest: Manifest) -> tuple[int, Manifest]:
        """Have the server say what it thinks of a manifest, without keeping it."""
        api = manifest["apiVersion"]
        root = f"apis/{api}" if "/" in api else f"api/{api}"
        response = await self.client.http.post(
            f"{root}/namespaces/{self.client.namespace}/{plural}",
            params={"dryRun": "All", "fieldValidation": "Strict"},
            json=manifest,
        )
        return response.status_code, dict(response.json())


@asynccontextmanager
async def open_corner(kubeconfig: Path) -> AsyncIterator[Corner]:
    """Open a corner of the cluster that is the current one, and tidy up behind it."""
    async with open_clusters([], kubeconfig=kubeconfig, namespace=None) as clusters:
        corner = Corner(next(iter(clusters.by_name.values())))
        try:
            await corner.version()
        except (TransientError, PermanentError) as error:
            pytest.fail(f"The cluster of {kubeconfig} cannot be tested on: {error}")
        try:
            yield corner
        finally:
            await corner.clean()
