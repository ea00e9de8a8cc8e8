"""The client against an API server in trouble: what it makes of refusals and silence."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from odm_gateway.adapters.argo.clusters import open_clusters
from odm_gateway.adapters.argo.kubernetes import (
    CLAIMS,
    WORKFLOWS,
    ForbiddenError,
    GoneError,
    Kubernetes,
    Manifest,
    QuotaError,
)
from odm_gateway.argo_config import Context
from shared.errors import InvalidInputError, PermanentError, TransientError
from tests.support.kubernetes.cluster import SimulatedCluster, write_kubeconfig
from tests.support.kubernetes.server import ApiServer
from tests.support.processes import free_port

ALL = ""
MINUTE = timedelta(minutes=1)


def claim(name: str, **labels: str) -> Manifest:
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "labels": labels}
    }  # fmt: skip


def workflow(name: str) -> Manifest:
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": {}}


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


async def test_a_wrong_token_may_be_renewed_and_is_not_told(
    client: Kubernetes, cluster: SimulatedCluster
) -> None:
    before = cluster.api.token
    cluster.api.token = "another"
    with pytest.raises(TransientError, match="does not know the gateway") as refused:
        await client.get(WORKFLOWS, "a")
    assert before not in str(refused.value)


async def test_a_token_that_was_renewed_in_its_file_is_read_anew(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    token = tmp_path / "token"
    kubeconfig = cluster.api.kubeconfig("simulated")
    kubeconfig["users"][0]["user"] = {"tokenFile": str(token)}  # as that of a service account, which expires
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    async with open_clusters([], kubeconfig=tmp_path / "kubeconfig", namespace=None) as clusters:
        client = clusters.by_name["simulated"].kubernetes
        with pytest.raises(TransientError, match="credentials"):
            await client.get(WORKFLOWS, "a")
        for renewed in (cluster.api.token, "another", "a third"):
            token.write_text(renewed)
            cluster.api.token = renewed
            assert await client.get(WORKFLOWS, "a") is None
            version = (await client.page(WORKFLOWS, selector=ALL)).version
            cluster.api.token = "not yet in the file"
            with pytest.raises(TransientError, match="does not know"):
                await _all_told(client, version, cluster)


async def test_credentials_from_a_program_that_fails_are_no_answer_and_are_not_told(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    program = {"command": "sh", "args": ["-c", "echo s3cret >&2; exit 3"]}
    kubeconfig = cluster.api.kubeconfig("simulated")
    kubeconfig["users"][0]["user"] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", **program}
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    async with open_clusters([], kubeconfig=tmp_path / "kubeconfig", namespace=None) as clusters:
        with pytest.raises(TransientError, match="cannot be had: Exec sh returned 3") as refused:
            await clusters.by_name["simulated"].kubernetes.get(WORKFLOWS, "a")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("code", [429, 503])
async def test_a_server_that_says_when_to_come_again_is_obeyed(
    client: Kubernetes, cluster: SimulatedCluster, code: int
) -> None:
    cluster.api.faults.refuse_next, cluster.api.faults.retry_after_s = [code], 1
    began_s = time.monotonic()
    await client.create(WORKFLOWS, workflow("a"))
    assert time.monotonic() - began_s >= 1


async def test_a_server_that_stays_busy_or_asks_for_too_long_is_given_up(
    client: Kubernetes, cluster: SimulatedCluster
) -> None:
    cluster.api.faults.refuse_next, cluster.api.faults.retry_after_s = [429] * 9, 0
    with pytest.raises(TransientError):
        await client.get(WORKFLOWS, "a")
    cluster.api.faults.refuse_next, cluster.api.faults.retry_after_s = [429], 600
    with pytest.raises(TransientError) as refused:
        await client.get(WORKFLOWS, "a")
    assert refused.value.retry_after == timedelta(minutes=10)


async def test_a_quota_that_is_used_up_may_have_room_again(
    client: Kubernetes, cluster: SimulatedCluster
) -> None:
    cluster.api.faults.quota = {"workflows": 0}
    with pytest.raises(QuotaError, match="exceeded quota"):
        await client.create(WORKFLOWS, workflow("a"))


@pytest.mark.parametrize(
    "answer", [b"", b"{", b"[]", b"null", b'"text"', b"{}", b'{"metadata": {}}', b"\xff"]
)
async def test_answers_that_make_no_sense_are_no_answers(answer: bytes, tmp_path: Path) -> None:
    async def nonsense(_request: web.Request) -> web.Response:
        return web.Response(body=answer)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", nonsense)
    async with TestServer(app) as server:
        api = ApiServer(url=str(server.make_url("")).rstrip("/"))
        (tmp_path / "kubeconfig").write_text(json.dumps(api.kubeconfig("odd")))
        async with open_clusters([], kubeconfig=tmp_path / "kubeconfig", namespace=None) as clusters:
            client = clusters.by_name["odd"].kubernetes
            with pytest.raises(TransientError, match="broken answer to list"):
                await client.page(WORKFLOWS, selector=ALL)
            if answer:
                with pytest.raises(TransientError, match="broken answer to watch"):
                    await anext(client.watch(WORKFLOWS, selector=ALL, version="1", last=MINUTE))


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
        async with open_clusters([Context("elsewhere")], kubeconfig=kubeconfig, namespace=None):
            pass
