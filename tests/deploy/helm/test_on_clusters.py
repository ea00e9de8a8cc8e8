"""What a real API server says to the chart (`make test-cluster`). Nothing runs: pods are only shown to it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2
import pytest

from odm_gateway.adapters.argo.clusters import open_clusters
from odm_gateway.adapters.argo.kubernetes import PERMISSIONS
from tests.deploy.helm.conformity import CRDS
from tests.deploy.helm.rendering import PROFILES, Document, of_kind, pods, profile, render
from tests.support.kubernetes.corner import real_kubeconfig

KEPT = ("ServiceAccount", "Role", "RoleBinding")
"""What others refer to, so that it has to be there; all else is only shown."""
TRIES, LOOK_EVERY_S = 240, 0.25
CRD_ROOT = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass
class Server:
    """A namespace of its own, in which restricted Pod Security is enforced."""

    http: httpx2.AsyncClient
    namespace: str = field(default_factory=lambda: f"flightline-test-{uuid4().hex[:8]}")

    async def says(self, document: Document, *, dry: bool = True) -> tuple[int, str]:
        """Return status and message about an object."""
        version = document["apiVersion"]
        root = f"apis/{version}" if "/" in version else f"api/{version}"
        plural = await self._plural(root, document["kind"])
        answer = await self.http.post(
            f"{root}/namespaces/{self.namespace}/{plural}",
            params={"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry else {}),
            json=document,
        )
        return answer.status_code, str(answer.json().get("message", ""))

    async def learns(self, crd: Document) -> bool:
        """Have a kind served, and return whether it was not before; after a deletion that takes a while."""
        spec, is_ours = crd["spec"], False
        for _ in range(TRIES):
            root = f"apis/{spec['group']}/{spec['versions'][0]['name']}"
            known = await self.http.get(root)
            if known.status_code == 200 and spec["names"]["plural"] in known.text:
                return is_ours
            is_ours |= (await self.http.post(CRD_ROOT, json=crd)).status_code == 201
            await asyncio.sleep(LOOK_EVERY_S)
        raise TimeoutError(f"the server does not serve {spec['names']['plural']}")

    async def forgets(self, crd: Document) -> None:
        """Take a kind away, and wait for that: who asks next would find it half there."""
        name = f"{CRD_ROOT}/{crd['metadata']['name']}"
        await self.http.delete(name)
        for _ in range(TRIES):
            if (await self.http.get(name)).status_code == 404:
                return
            await asyncio.sleep(LOOK_EVERY_S)
        raise TimeoutError(f"{crd['metadata']['name']} does not go")

    async def lets(self, account: str, what: tuple[str, str, str], namespace: str) -> bool:
        """Return whether a service account may do something: a verb, a group, a kind."""
        verb, group, resource = what
        answer = await self.http.post(
            "apis/authorization.k8s.io/v1/subjectaccessreviews",
            json={
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": f"system:serviceaccount:{self.namespace}:{account}",
                    "resourceAttributes": {
                        "verb": verb,
                        "group": group,
                        "resource": resource,
                        "namespace": namespace,
                    },
                },
            },
        )
        return bool(answer.json()["status"]["allowed"])

    async def _plural(self, root: str, kind: str) -> str:
        known = (await self.http.get(root)).json()["resources"]
        return next(str(each["name"]) for each in known if each["kind"] == kind and "/" not in each["name"])


@pytest.fixture(params=["real-cluster"])
async def server() -> AsyncIterator[Server]:
    async with open_clusters([], kubeconfig=real_kubeconfig(), namespace=None) as clusters:
        [cluster] = clusters.by_name.values()
        server = Server(cluster.kubernetes.http)
        ours = [crd for crd in CRDS if await server.learns(crd)]
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        namespace = {"metadata": {"name": server.namespace, "labels": labels}}
        assert (await server.http.post("api/v1/namespaces", json=namespace)).status_code == 201
        try:
            yield server
        finally:
            await server.http.delete(f"api/v1/namespaces/{server.namespace}")
            for crd in ours:
                await server.forgets(crd)


def objects(name: str, namespace: str) -> list[Document]:
    values = profile(name)
    values.setdefault("argo", {})["namespace"] = ""
    return render(values, namespace)


@pytest.mark.parametrize("name", PROFILES)
async def test_a_real_server_takes_every_object(server: Server, name: str) -> None:
    refused = []
    documents = sorted(objects(name, server.namespace), key=lambda each: each["kind"] not in KEPT)
    for document in documents:
        status, message = await server.says(document, dry=document["kind"] not in KEPT)
        if status != 201:
            refused.append(f"{document['kind']} {document['metadata']['name']}: {message}")
    for owner, spec in pods(documents):
        status, message = await server.says(pod(spec))
        if status != 201:
            refused.append(f"pod of {owner}: {message}")
    assert refused == []


async def test_a_real_server_would_notice_faults(server: Server) -> None:
    documents = objects("production", server.namespace)
    for account in of_kind(documents, "ServiceAccount").values():
        assert (await server.says(account, dry=False))[0] == 201
    scaled = copy.deepcopy(of_kind(documents, "ScaledObject")["ingest"])
    scaled["spec"]["pollInterval"] = 15
    spec = copy.deepcopy(dict(pods(documents))["Deployment flightline-ingest"])
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True

    told = [await server.says(scaled), await server.says(pod(spec))]

    assert [status for status, _ in told] == [400, 403]
    assert "pollInterval" in told[0][1]
    assert "restricted" in told[1][1]


async def test_a_real_server_lets_accounts_do_what_the_code_calls_and_no_more(server: Server) -> None:
    for document in objects("production", server.namespace):
        if document["kind"] in KEPT:
            assert (await server.says(document, dry=False))[0] == 201
    verbs = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    called = {
        (verb, each.root.split("/")[1] if each.root.startswith("apis/") else "", each.plural)
        for each, allowed in PERMISSIONS.items()
        for verb in allowed
    }
    others = {("", "secrets"), ("", "pods"), ("", "configmaps"), ("rbac.authorization.k8s.io", "roles")}
    asked = {
        (verb, *what) for verb in verbs for what in others | {(group, kind) for _, group, kind in called}
    }

    async def may(account: str, namespace: str) -> set[tuple[str, str, str]]:
        return {each for each in asked if await server.lets(account, each, namespace)}

    assert await may("flightline-odm-gateway", server.namespace) == called
    assert await may("flightline-odm-gateway", "default") == set()
    assert await may("flightline-ingest", server.namespace) == set()
    assert await may("flightline-odm", server.namespace) == set()
    for verb in ("create", "patch"):
        executor = (verb, "argoproj.io", "workflowtaskresults")
        assert await server.lets("flightline-odm", executor, server.namespace)


def pod(spec: Document) -> Document:
    """Return a pod as a controller would make it; of those of jobs the parameters are not filled in."""
    own = copy.deepcopy(spec)
    own["volumes"] = [
        {**volume, **({"persistentVolumeClaim": {"claimName": "workspace"}} if _is_open(volume) else {})}
        for volume in own.get("volumes", [])
    ]
    mounted = {mount["name"] for each in own["containers"] for mount in each.get("volumeMounts", ())}
    own["volumes"] += [
        {"name": name, "emptyDir": {}} for name in sorted(mounted - {each["name"] for each in own["volumes"]})
    ]
    for container in (*own.get("initContainers", ()), *own["containers"]):
        container.setdefault("image", "image")
        if "{{" in container["image"]:
            container["image"] = "image"
        container["resources"] = {"limits": {"memory": "1Gi"}}
        for number, entry in enumerate(container.get("env", ())):
            entry.setdefault("name", f"VARIABLE_{number}")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shown"}, "spec": own}


def _is_open(volume: Document) -> bool:
    return "{{" in str(volume.get("persistentVolumeClaim", ""))
