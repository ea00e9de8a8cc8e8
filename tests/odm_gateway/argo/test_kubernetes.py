"""The client against an API server in trouble: what it makes of refusals and silence."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest

from odm_gateway.adapters.argo.clusters import open_clusters
from odm_gateway.adapters.argo.kubernetes import (
    CLAIMS,
    WORKFLOWS,
    ForbiddenError,
    GoneError,
    Kubernetes,
    Manifest,
)
from shared.errors import InvalidInputError, PermanentError, TransientError
from tests.support.kubernetes.cluster import SimulatedCluster, write_kubeconfig
from tests.support.processes import free_port

ALL = ""
MINUTE = timedelta(minutes=1)


def claim(name: str, **labels: str) -> Manifest:
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "labels": labels}
    }  # fmt: skip


@pytest.fixture
async def client(tmp_path: Path, cluster: SimulatedCluster) -> AsyncIterator[Kubernetes]:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", simulated=cluster)
    async with open_clusters([], kubeconfig=kubeconfig, namespace=None) as clusters:
        yield clusters.by_name["simulated"].kubernetes


async def test_a_list_that_got_too_old_is_gone(client: Kubernetes, cluster: SimulatedCluster) -> None:
    for number in range(3):
        await client.create(CLAIMS, claim(f"a{number}"))
    first = await client.page(CLAIMS, selector=ALL, limit=1)
    cluster.api.storage.compact()
    with pytest.raises(GoneError):
        await client.page(CLAIMS, selector=ALL, limit=1, after=first.next)


@pytest.mark.parametrize("moment", ["at the start", "later"])
async def test_a_version_that_is_forgotten_is_gone(
    client: Kubernetes, cluster: SimulatedCluster, moment: str
) -> None:
    version = str(cluster.api.storage.version)
    if moment == "at the start":
        cluster.api.storage.compact()
    with pytest.raises(GoneError):
        await _all_told(client, version, cluster)


async def _all_told(client: Kubernetes, version: str, cluster: SimulatedCluster) -> None:
    async with aclosing(client.watch(CLAIMS, selector=ALL, version=version, last=MINUTE)) as events:
        async for _ in events:
            cluster.api.end_watches_as_gone()


@pytest.mark.parametrize(
    ("code", "error"),
    [(500, TransientError), (503, TransientError), (429, TransientError), (400, PermanentError)],
)
async def test_refusals_say_whether_trying_again_may_help(
    client: Kubernetes, cluster: SimulatedCluster, code: int, error: type[Exception]
) -> None:
    cluster.api.faults.refuse_next = [code]
    with pytest.raises(error, match="get workflows"):
        await client.get(WORKFLOWS, "a")


async def test_what_the_role_lacks_is_named(client: Kubernetes, cluster: SimulatedCluster) -> None:
    cluster.api.faults.forbidden.add(("patch", "workflows"))
    with pytest.raises(ForbiddenError, match="patch workflows"):
        await client.merge(WORKFLOWS, "a", {})


async def test_a_wrong_token_is_told_without_the_token(client: Kubernetes, cluster: SimulatedCluster) -> None:
    before = cluster.api.token
    cluster.api.token = "another"
    with pytest.raises(ForbiddenError) as refused:
        await client.get(WORKFLOWS, "a")
    assert before not in str(refused.value)


async def test_a_broken_connection_may_pass(client: Kubernetes, cluster: SimulatedCluster) -> None:
    cluster.api.faults.is_down = True
    with pytest.raises(TransientError, match="cannot be reached"):
        await client.get(WORKFLOWS, "a")


async def test_nobody_listening_may_pass(tmp_path: Path, cluster: SimulatedCluster) -> None:
    there, cluster.api.url = cluster.api.url, f"http://127.0.0.1:{free_port()}"
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", nowhere=cluster)
    cluster.api.url = there
    async with open_clusters([], kubeconfig=kubeconfig, namespace=None) as clusters:
        with pytest.raises(TransientError, match="cannot be reached"):
            await clusters.by_name["nowhere"].kubernetes.get(WORKFLOWS, "a")


@pytest.mark.parametrize("content", [None, "", "[]", "clusters: 3", "{", "clusters: []\ncontexts: []"])
async def test_a_kubeconfig_that_cannot_be_used_is_refused_at_the_start(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInputError, match="no Kubernetes cluster to work with"):
        async with open_clusters([], kubeconfig=path, namespace=None):
            pass


async def test_a_context_that_is_not_there_is_named(tmp_path: Path, cluster: SimulatedCluster) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", simulated=cluster)
    with pytest.raises(InvalidInputError, match="elsewhere"):
        async with open_clusters([("elsewhere", 1)], kubeconfig=kubeconfig, namespace=None):
            pass
