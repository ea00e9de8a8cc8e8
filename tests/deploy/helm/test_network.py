"""Who may talk to whom in a cluster that enforces the chart's NetworkPolicies."""

from __future__ import annotations

import itertools
from functools import cache

import pytest

from flightline.chart.services import WORKLOADS
from tests.deploy.helm.reachability import Network, Place
from tests.deploy.helm.rendering import Document, notes, of_kind, overlay, profile, render, rendered

PORTS = {
    name: workload.port or workload.settings.model_fields["port"].default
    for name, workload in WORKLOADS.items()
}
CALLS = {("ingest", "discovery"), ("scaler", "discovery")}
STRANGER = Place("imagery", {"app": "stranger"})
PROMETHEUS, GATEWAY, DNS = (
    Place("monitoring"),
    Place("gateways"),
    Place("kube-system", {"k8s-app": "kube-dns"}),
)
OUTSIDE, INSIDE, METADATA = (
    Place(address="93.184.216.34"),
    Place(address="10.9.9.9"),
    Place(address="169.254.169.254"),
)
JOB_LABELS = {"app.kubernetes.io/instance": "flightline", "app.kubernetes.io/name": "odm-job"}


def network(documents: list[Document] | tuple[Document, ...]) -> Network:
    return Network([each for each in documents if each["kind"] == "NetworkPolicy"], "imagery")


def place(documents: list[Document] | tuple[Document, ...], name: str) -> Place:
    for kind in ("Deployment", "StatefulSet"):
        if found := of_kind(documents, kind).get(name):
            return Place("imagery", found["spec"]["template"]["metadata"]["labels"])
    return Place("imagery", of_kind(documents, "Pod")[name]["metadata"]["labels"])


LOCAL, PRODUCTION = rendered("local"), rendered("production")


@pytest.mark.parametrize("service", WORKLOADS)
@pytest.mark.parametrize(("backend", "port"), [("rabbitmq", 5672), ("mongodb", 27017), ("s3", 7070)])
def test_every_service_reaches_the_dev_servers(service: str, backend: str, port: int) -> None:
    assert network(LOCAL).allows(place(LOCAL, service), place(LOCAL, backend), port)
    assert not network(LOCAL).allows(place(LOCAL, service), place(LOCAL, backend), 22)
    assert not network(LOCAL).allows(STRANGER, place(LOCAL, backend), port)


@pytest.mark.parametrize(("caller", "callee"), list(itertools.permutations(WORKLOADS, 2)))
def test_services_reach_only_those_that_they_call(caller: str, callee: str) -> None:
    is_reached = network(LOCAL).allows(place(LOCAL, caller), place(LOCAL, callee), PORTS[callee])
    assert is_reached == ((caller, callee) in CALLS)


@pytest.mark.parametrize("service", WORKLOADS)
def test_clients_reach_what_has_a_hostname_and_prometheus_everything(service: str) -> None:
    target = place(PRODUCTION, service)
    assert network(PRODUCTION).allows(PROMETHEUS, target, PORTS[service])
    has_hostname = service in ("discovery", "datalab", "odm-gateway")
    assert network(PRODUCTION).allows(GATEWAY, target, PORTS[service]) == has_hostname
    assert not network(PRODUCTION).allows(STRANGER, target, PORTS[service])
    assert not network(PRODUCTION).allows(GATEWAY, target, 9999)


@cache
def closed_documents() -> tuple[Document, ...]:
    """Return production where somebody said where objects are."""
    values = overlay(
        profile("production"),
        {"networkPolicy": {"backends": {"objects": {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}}}},
    )
    return tuple(render(values))


@pytest.mark.parametrize("service", WORKLOADS)
def test_services_read_from_outside_and_not_from_private_networks(service: str) -> None:
    source = place(PRODUCTION, service)
    closed = network(closed_documents())
    assert network(PRODUCTION).allows(source, DNS, 53, "UDP")
    assert closed.allows(source, OUTSIDE, 443)
    assert not closed.allows(source, OUTSIDE, 25)
    if service != "odm-gateway":  # it reaches the Kubernetes API, wherever that is
        assert not closed.allows(source, INSIDE, 443)
        assert not closed.allows(source, METADATA, 443)


def test_only_the_gateway_reaches_the_kubernetes_api() -> None:
    reached = {
        name for name in WORKLOADS if network(PRODUCTION).allows(place(PRODUCTION, name), INSIDE, 6443)
    }
    assert reached == {"odm-gateway"}


@pytest.mark.parametrize(("name", "namespace"), [("production", "imagery"), ("operators", "jobs")])
def test_jobs_reach_objects_the_gateway_and_kubernetes_and_nobody_reaches_them(
    name: str, namespace: str
) -> None:
    documents, job = rendered(name), Place(namespace, JOB_LABELS)
    assert network(documents).allows(job, OUTSIDE, 443)  # S3 may be anywhere
    assert network(documents).allows(job, INSIDE, 6443)
    assert network(documents).allows(job, place(documents, "odm-gateway"), PORTS["odm-gateway"])
    assert not network(documents).allows(job, place(documents, "discovery"), PORTS["discovery"])
    assert not network(documents).allows(job, INSIDE, 5672)
    assert not network(documents).allows(STRANGER, job, 8080)


def test_the_labels_of_jobs_are_those_that_policies_select() -> None:
    [template] = of_kind(PRODUCTION, "WorkflowTemplate").values()
    assert template["spec"]["podMetadata"]["labels"].items() >= JOB_LABELS.items()


def test_the_test_reaches_what_it_needs() -> None:
    test = place(LOCAL, "test")
    assert network(LOCAL).allows(test, place(LOCAL, "discovery"), PORTS["discovery"])
    assert network(LOCAL).allows(test, place(LOCAL, "s3"), 7070)
    assert not network(LOCAL).allows(test, OUTSIDE, 443)


def test_keda_reaches_the_management_of_a_dev_server_where_it_is_named() -> None:
    keda = Place("keda")
    values = overlay(
        profile("local"),
        {
            "networkPolicy": {
                "kedaFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}]
            }
        },
    )
    opened = render(values)
    assert not network(LOCAL).allows(keda, place(LOCAL, "rabbitmq"), 15672)
    assert network(opened).allows(keda, place(opened, "rabbitmq"), 15672)
    assert network(opened).allows(keda, place(opened, "mongodb"), 27017)
    assert not network(opened).allows(keda, place(opened, "rabbitmq"), 5672)


def test_pods_that_operators_make_are_left_to_them() -> None:
    documents = rendered("operators")
    labels = {"app.kubernetes.io/instance": "flightline", "app.kubernetes.io/name": "flightline-rabbitmq"}
    node = Place("imagery", labels)
    assert network(documents).allows(node, node, 25672)
    assert network(documents).allows(place(documents, "ingest"), node, 5672)
    member = Place("imagery", {"app": "flightline-mongodb-svc"})
    assert network(documents).allows(place(documents, "ingest"), member, 27017)


def test_what_is_open_to_anywhere_is_said() -> None:
    assert "where they are: backends.rabbitmq, backends.mongodb, backends.objects, kubernetesApi." in notes(
        profile("production")
    )
    assert "anywhere" not in notes(profile("local"))
