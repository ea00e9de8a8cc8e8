"""What Kubernetes lets nobody change stays the same, whatever values are changed before `helm upgrade`."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.deploy.helm.rendering import NAMESPACE, RELEASE, Document, overlay, profile, render, rendered

FIXED = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
    "Service": ("clusterIP",),
}
CHANGES: dict[str, Document] = {
    "another release of the images": {"image": {"tag": "9.9.9", "registry": "registry.example.org"}},
    "more pods": {"services": {"ingest": {"replicas": 7}, "scaler": {"autoscaling": {"max": 50}}}},
    "settings": {
        "settings": {"FLIGHTLINE_LOG_LEVEL": "debug"},
        "services": {"ingest": {"settings": {"INGEST_LEASE": "1m"}}},
    },
    "labels and annotations": {
        "services": {"ingest": {"podLabels": {"team": "imagery"}, "podAnnotations": {"a": "b"}}},
        "monitoring": {"labels": {"release": "prometheus"}},
    },
    "resources": {
        "services": {"ingest": {"resources": {"limits": {"memory": "2Gi"}}}},
        "dev": {"resources": {"limits": {"memory": "2Gi"}}},
    },
    "images of dev servers": {
        "rabbitmq": {"dev": {"image": "docker.io/library/rabbitmq:4.2-management"}},
        "mongodb": {"dev": {"image": "docker.io/library/mongo:8.2"}},
    },
    "a time to end": {"preStopSeconds": 30, "terminationMarginSeconds": 60},
    "no policies": {"networkPolicy": {"enabled": False}},
}


def fixed(documents: tuple[Document, ...] | list[Document]) -> dict[tuple[str, str], Any]:
    found = {
        (document["kind"], document["metadata"]["name"]): {
            part: document["spec"].get(part) for part in FIXED[document["kind"]]
        }
        for document in documents
        if document["kind"] in FIXED
    }
    return found | {
        ("RoleBinding", document["metadata"]["name"]): document["roleRef"]
        for document in documents
        if document["kind"] == "RoleBinding"
    }


@pytest.mark.parametrize("name", ["local", "production"])
def test_what_cannot_be_changed_does_not_depend_on_values(name: str) -> None:
    values = profile(name)
    for change in CHANGES.values():
        overlay(values, copy.deepcopy(change))
    after = render(values)
    assert fixed(after) == fixed(rendered(name))
    assert after != list(rendered(name))


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
def test_no_change_by_itself_changes_what_cannot_be(change: str) -> None:
    has_changed = []
    for name in ("local", "production"):
        after = render(overlay(profile(name), CHANGES[change]))
        assert fixed(after) == fixed(rendered(name))
        has_changed.append(after != list(rendered(name)))
    assert any(has_changed)


def test_pods_are_found_by_what_no_release_changes() -> None:
    for documents in (rendered("local"), rendered("production")):
        for document in documents:
            if document["kind"] in {"Deployment", "StatefulSet"}:
                name = document["metadata"]["name"].removeprefix(f"{RELEASE}-")
                assert document["spec"]["selector"] == {
                    "matchLabels": {
                        "app.kubernetes.io/instance": RELEASE,
                        "app.kubernetes.io/name": name,
                    }
                }


def test_two_releases_in_a_namespace_have_nothing_in_common() -> None:
    values = overlay(profile("local"), {"monitoring": {"monitors": True, "rules": True, "dashboards": True}})
    one, other = ({_place(each) for each in render(values, name=name)} for name in ("one", "two"))
    assert not one & other


def _place(document: Document) -> tuple[str, str, str]:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", NAMESPACE), metadata["name"]
