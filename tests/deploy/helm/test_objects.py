"""What the chart makes of each profile: objects that Kubernetes and its operators know, and that are safe."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from helm_python import lint
from hera.workflows import models

from flightline.chart.__main__ import CHART, generated_files
from tests.deploy.helm.conformity import CUSTOM, VERSIONS, faults, kind_of, misfits
from tests.deploy.helm.rendering import PROFILES, notes, of_kind, pods, profile, render, rendered, services

every_profile = pytest.mark.parametrize("name", PROFILES)


def test_what_the_chart_takes_from_the_code_is_as_the_code_has_it() -> None:
    stale = [path for path, text in generated_files().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run make docs"


@every_profile
def test_helm_finds_nothing_to_say_of_it(name: str) -> None:
    report = lint(CHART, profile(name), strict=True)
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@every_profile
@pytest.mark.parametrize(
    "version",
    [VERSIONS[0], *(pytest.param(each, marks=pytest.mark.long) for each in VERSIONS[1:-1]), VERSIONS[-1]],
)
def test_kubernetes_and_its_operators_know_every_field(name: str, version: str) -> None:
    assert [fault for document in rendered(name) for fault in misfits(document, version)] == []
    assert len(rendered(name)) > 40


def test_a_field_that_kubernetes_or_an_operator_does_not_know_would_be_noticed() -> None:
    deployment = copy.deepcopy(of_kind(rendered("production"), "Deployment")["ingest"])
    deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["slep"] = {}
    scaled = copy.deepcopy(of_kind(rendered("production"), "ScaledObject")["ingest"])
    scaled["spec"]["pollInterval"] = 15
    assert len(misfits(deployment, "1.30")) == len(misfits(scaled, "1.30")) == 1


@pytest.mark.parametrize("kind", sorted(set(CUSTOM) - {"argoproj.io/v1alpha1/WorkflowTemplate"}))
def test_each_operator_has_a_schema_that_takes_nothing_else(kind: str) -> None:
    every = (document for name in PROFILES for document in rendered(name) if kind_of(document) == kind)
    misspelt = copy.deepcopy(next(every))
    misspelt["spec"]["misspelt"] = 1
    assert len(misfits(misspelt, "1.30")) == 1
    assert misfits({**misspelt, "spec": "none"}, "1.30")


def test_a_size_that_is_none_would_be_noticed() -> None:
    cluster = copy.deepcopy(next(iter(of_kind(rendered("operators"), "RabbitmqCluster").values())))
    cluster["spec"]["persistence"]["storage"] = "ten"
    assert len(misfits(cluster, "1.30")) == 1


def test_every_custom_resource_is_in_some_profile() -> None:
    assert {kind_of(document) for name in PROFILES for document in rendered(name)} >= set(CUSTOM)


@every_profile
def test_argo_knows_every_field(name: str) -> None:
    for template in of_kind(rendered(name), "WorkflowTemplate").values():
        known = models.WorkflowTemplate.model_validate(template)
        assert json.loads(known.model_dump_json(by_alias=True, exclude_unset=True)) == template


@every_profile
def test_no_two_objects_have_the_same_name(name: str) -> None:
    named = [
        (document["kind"], document["metadata"].get("namespace"), document["metadata"]["name"])
        for document in rendered(name)
    ]
    assert len(named) == len(set(named))
    assert all(len(name) <= 63 for _, _, name in named)


@every_profile
def test_every_pod_may_run_where_restricted_pod_security_is_enforced(name: str) -> None:
    for owner, pod in pods(rendered(name)):
        assert faults(pod) == [], owner


def test_a_pod_that_is_not_restricted_would_be_noticed() -> None:
    pod: dict[str, Any] = {
        "hostNetwork": True,
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
        "containers": [{"name": "one", "resources": {"limits": {"memory": "1Gi"}}}],
    }
    assert len(faults(pod)) == 7


@every_profile
def test_what_is_mounted_is_there(name: str) -> None:
    for owner, pod in pods(rendered(name)):
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        volumes |= {"data"} if owner.startswith("StatefulSet") else set()
        mounted = {
            mount["name"]
            for container in (*pod.get("initContainers", ()), *pod["containers"])
            for mount in container.get("volumeMounts", ())
        }
        assert mounted == volumes, owner


@every_profile
def test_every_service_has_its_own_three_probes_budget_and_account(name: str) -> None:
    documents = rendered(name)
    for service, deployment in services(documents).items():
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        paths = [
            container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")
        ]
        assert paths == ["/healthz", "/healthz", "/readyz"]
        assert pod["serviceAccountName"].endswith(service)
        assert service in of_kind(documents, "ServiceAccount")
        selector = of_kind(documents, "PodDisruptionBudget")[service]["spec"]["selector"]
        assert selector == deployment["spec"]["selector"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert labels.items() >= selector["matchLabels"].items()


@every_profile
def test_every_object_of_a_service_is_labelled_as_its_own(name: str) -> None:
    for document in rendered(name):
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "flightline", document["metadata"]["name"]
        assert labels["app.kubernetes.io/part-of"] == "flightline"


@every_profile
def test_only_a_gateway_that_calls_this_cluster_gets_a_token_of_it(name: str) -> None:
    with_token = [owner for owner, pod in pods(rendered(name)) if pod.get("automountServiceAccountToken")]
    expected = ["Deployment flightline-odm-gateway"] if name in ("production", "gpu", "operators") else []
    assert with_token == expected


@every_profile
def test_no_password_is_outside_a_secret(name: str) -> None:
    for document in rendered(name):
        if document["kind"] != "Secret":
            text = json.dumps(document)
            assert "local-token" not in text
            assert "flightline-secret" not in text
            assert "flightline:flightline@" not in text


@every_profile
def test_the_notes_say_the_next_command(name: str) -> None:
    assert "helm test flightline -n imagery" in notes(profile(name))


def test_a_pod_is_started_anew_when_its_settings_change() -> None:
    before = of_kind(rendered("local"), "Deployment")
    values = profile("local")
    values["services"]["ingest"]["settings"] = {"INGEST_LEASE": "1m"}
    after = of_kind(render(values), "Deployment")
    changed = {
        name
        for name, deployment in after.items()
        if deployment["spec"]["template"] != before[name]["spec"]["template"]
    }
    assert changed == {"ingest"}
