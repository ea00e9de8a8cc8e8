"""How services end, how many there are, and what jobs may do: as the code says."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from datalab.execution.opening import SUBSCRIPTIONS as DATALAB
from flightline.chart.services import WORKLOADS
from ingest.collections import TRANSFERS
from ingest.resources import SUBSCRIPTIONS as INGEST
from odm_gateway.adapters.argo.kubernetes import PERMISSIONS
from scaler.collections import PIECES
from scaler.resources import SUBSCRIPTIONS as SCALER
from shared.durations import parse_duration
from shared.service.running import HAND_BACK
from shared.state import CollectionSpec
from tests.deploy.helm.rendering import PROFILES, Document, of_kind, profile, render, rendered, services

QUEUES = {"ingest": INGEST, "scaler": SCALER, "datalab-worker": DATALAB}


def ends_after(documents: list[Document] | tuple[Document, ...], service: str) -> tuple[timedelta, timedelta]:
    pod = of_kind(documents, "Deployment")[service]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    pause = container.get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})["sleep"]["seconds"]
    return timedelta(seconds=pod["terminationGracePeriodSeconds"]), timedelta(seconds=pause)


@pytest.mark.parametrize("grace", ["1m30s", "1d2h", 90, 0.5, "2.5s"])
def test_a_pod_has_time_to_drain_to_hand_back_and_a_margin(grace: str | float) -> None:
    values = profile("local")
    for family in {workload.command[0] for workload in WORKLOADS.values()}:
        setting = f"{family.replace('-', '_').upper()}_SHUTDOWN_GRACE"
        values["services"].setdefault(family, {})["settings"] = {setting: grace}
    documents = render(values)
    for service in WORKLOADS:
        whole, pause = ends_after(documents, service)
        left = whole - pause - parse_duration(grace) - HAND_BACK
        assert timedelta(seconds=10) <= left <= timedelta(seconds=11)


@pytest.mark.parametrize("service", WORKLOADS)
def test_without_a_setting_the_defaults_of_the_code_count(service: str) -> None:
    whole, pause = ends_after(rendered("production"), service)
    grace: timedelta = WORKLOADS[service].settings.model_fields["shutdown_grace"].default
    assert whole == pause + grace + HAND_BACK + timedelta(seconds=10)


def test_only_what_gets_requests_waits_for_them_to_be_led_elsewhere() -> None:
    pauses = {name: ends_after(rendered("production"), name)[1] for name in WORKLOADS}
    assert {name for name, pause in pauses.items() if not pause} == {"datalab-worker"}


@pytest.mark.parametrize("service", QUEUES)
def test_consumers_are_counted_by_their_own_queue(service: str) -> None:
    scaled = of_kind(rendered("production"), "ScaledObject")[service]["spec"]
    asked = scaled["triggers"][0]
    assert asked["type"] == "rabbitmq"
    assert asked["metadata"]["protocol"] == "http"  # AMQP would not count what is being handled
    assert "excludeUnacknowledged" not in asked["metadata"]
    assert asked["metadata"]["queueName"] in [each.queue for each in QUEUES[service]]
    assert scaled["scaleTargetRef"]["name"] in {
        f"flightline-{name}" for name in of_kind(rendered("production"), "Deployment")
    }


@pytest.mark.parametrize(("service", "spec"), [("ingest", TRANSFERS), ("scaler", PIECES)])
def test_work_that_waits_as_documents_is_asked_for_by_an_index(service: str, spec: CollectionSpec) -> None:
    asked = of_kind(rendered("production"), "ScaledObject")[service]["spec"]["triggers"][1]["metadata"]
    assert asked["collection"] == spec.name
    fields = {name.removeprefix("index.") for name in json.loads(asked["query"])}
    assert fields in [set(index.fields[: len(fields)]) for index in spec.indexes]


@pytest.mark.parametrize(
    ("service", "setting", "value", "expected"),
    [
        ("ingest", None, None, "2"),
        ("ingest", "INGEST_TRANSFERS_AT_ONCE", 5, "5"),
        ("scaler", None, None, "4"),
        ("scaler", "SCALER_IMAGES_AT_ONCE", 6, "6"),
        ("datalab-worker", None, None, "1"),
        ("datalab-worker", "DATALAB_WORKERS", 3, "3"),
    ],
)
def test_there_is_a_pod_for_what_one_pod_works_on_together(
    service: str, setting: str | None, value: int | None, expected: str
) -> None:
    values = profile("production")
    if setting:
        values["services"][service]["settings"] = {setting: value}
    triggers = of_kind(render(values), "ScaledObject")[service]["spec"]["triggers"]
    wanted = {each["metadata"].get("value") or each["metadata"].get("queryValue") for each in triggers}
    assert wanted == {expected}


@pytest.mark.parametrize("service", ["scaler", "datalab-worker"])
def test_what_one_pod_works_on_together_does_not_depend_on_its_node(service: str) -> None:
    scaling = WORKLOADS[service].scaling
    assert scaling
    told = of_kind(rendered("production"), "ConfigMap")[service]["data"]
    assert told[scaling.per_replica_variable] == str(scaling.per_replica)


@pytest.mark.parametrize("name", PROFILES)
def test_nobody_but_an_autoscaler_chooses_how_many_there_are_of_what_it_scales(name: str) -> None:
    documents = rendered(name)
    by_processor = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in of_kind(documents, "HorizontalPodAutoscaler").values()
    }
    by_queue = {
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind(documents, "ScaledObject").values()
    }
    fixed = {each["metadata"]["name"] for each in services(documents).values() if "replicas" in each["spec"]}
    assert not by_processor & by_queue
    assert fixed == {f"flightline-{service}" for service in WORKLOADS} - by_processor - by_queue


@pytest.mark.parametrize("name", ["production", "gpu", "operators"])
def test_the_gateway_may_do_what_its_code_calls_and_nothing_else(name: str) -> None:
    role = of_kind(rendered(name), "Role")["odm-gateway"]
    allowed = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    called = {
        (
            each.root.removeprefix("apis/").split("/")[0] if each.root.startswith("apis/") else "",
            each.plural,
        ): set(verbs)
        for each, verbs in PERMISSIONS.items()
    }
    assert allowed == called
    binding = of_kind(rendered(name), "RoleBinding")["odm-gateway"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "flightline-odm-gateway", "namespace": "imagery"}
    ]


def test_nobody_has_rights_in_the_whole_cluster_and_a_gateway_of_other_clusters_none_in_this() -> None:
    kinds = {document["kind"] for name in PROFILES for document in rendered(name)}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}
    assert set(of_kind(rendered("vault"), "Role")) == {"odm"}
    assert of_kind(rendered("vault"), "Role")["odm"]["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    ]


@pytest.mark.parametrize("name", ["production", "gpu", "operators", "vault"])
def test_the_gateway_names_templates_and_a_namespace_that_are_there(name: str) -> None:
    told = of_kind(rendered(name), "ConfigMap")["odm-gateway"]["data"]
    templates = of_kind(rendered(name), "WorkflowTemplate").values()
    wanted = {told["ODM_GATEWAY_ARGO_TEMPLATE"], told.get("ODM_GATEWAY_ARGO_GPU_TEMPLATE")} - {None}
    assert {each["metadata"]["name"] for each in templates} == wanted
    assert {each["metadata"]["namespace"] for each in templates} == {told["ODM_GATEWAY_ARGO_NAMESPACE"]}


@pytest.mark.parametrize("name", ["production", "operators"])
def test_jobs_find_the_objects_of_the_gateway(name: str) -> None:
    [template] = of_kind(rendered(name), "WorkflowTemplate").values()
    text = json.dumps(template)
    assert "flightline-objects" not in text
    gateway = of_kind(rendered(name), "ConfigMap")["odm-gateway"]["data"]
    jobs = of_kind(rendered(name), "ConfigMap")["odm-objects"]
    assert jobs["data"].items() <= gateway.items()
    assert jobs["metadata"]["namespace"] == template["metadata"]["namespace"]
    account = of_kind(rendered(name), "ServiceAccount")["odm"]
    assert template["spec"]["serviceAccountName"] == account["metadata"]["name"]
    sources = [
        source
        for each in template["spec"]["templates"]
        for source in each.get("container", {}).get("envFrom", ())
    ]
    assert {source["configMapRef"]["name"] for source in sources if "configMapRef" in source} == {
        "flightline-odm-objects"
    }
    assert {source["secretRef"]["name"] for source in sources if "secretRef" in source} == {"flightline-s3"}


def test_jobs_with_a_gpu_run_where_there_is_one() -> None:
    templates = of_kind(rendered("gpu"), "WorkflowTemplate")
    odm = {name: each["spec"]["templates"][2] for name, each in templates.items()}
    assert odm["odm-gpu"]["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert odm["odm-gpu"]["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "nodeSelector" not in odm["odm"]


def test_jobs_wait_for_the_kind_of_node_they_ask_for_where_that_is_wanted() -> None:
    [template] = of_kind(rendered("operators"), "WorkflowTemplate").values()
    odm = template["spec"]["templates"][2]
    assert "affinity" not in odm
    assert "workflow.parameters.capacity" in odm["nodeSelector"]["karpenter.sh/capacity-type"]
    assert template["spec"]["podMetadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "odm"
