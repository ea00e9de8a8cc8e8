"""The chart, rendered by Helm's own engine, offline."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml
from helm_python import Chart, HelmError

from flightline.chart.__main__ import CHART
from flightline.chart.services import WORKLOADS

Document = dict[str, Any]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
RELEASE, NAMESPACE = "flightline", "imagery"
PROFILES: Mapping[str, tuple[str, ...]] = {
    "local": ("local",),
    "production": ("production",),
    "gpu": ("production", "gpu"),
    "operators": ("production", "operators"),
    "vault": ("vault",),
}
"""What is tested; the last two are no files of the chart: combinations that no profile has."""

_MORE: Mapping[str, Document] = {
    "operators": {
        "rabbitmq": {"mode": "operator", "operator": {"image": "rabbitmq:4.1", "storageClass": "fast"}},
        "mongodb": {"mode": "operator", "operator": {"passwordSecret": "mongodb-password"}},
        "argo": {
            "namespace": "jobs",
            "strictCapacity": True,
            "podLabels": {"kueue.x-k8s.io/queue-name": "odm"},
        },
        "httpRoute": {"enabled": False},
        "ingress": {"enabled": True, "className": "traefik", "tlsSecret": "certificate"},
        "externalSecrets": {
            "enabled": True,
            "store": {"name": "vault"},
            "secrets": {"flightline": {"FLIGHTLINE_TOKEN": {"key": "prod", "property": "token"}}},
        },
    },
    "vault": {
        "vault": {"role": "flightline"},
        "vaultAgent": {
            "role": "flightline",
            "secrets": {
                name: {"path": "kv/data/flightline", "key": name.lower()}
                for name in ("FLIGHTLINE_TOKEN", "FLIGHTLINE_BUS", "FLIGHTLINE_STATE")
            },
        },
        "objects": {"external": {"url": "s3://flightline/vault"}},
        "argo": {"enabled": True, "kubeconfig": {"secret": "clusters"}},
        "services": {"odm-gateway": {"settings": {"ODM_GATEWAY_ARGO_CONTEXTS": "one=2,two=1"}}},
    },
}


def profile(name: str) -> Document:
    """Return the values of a profile, to be changed at will."""
    values: Document = {}
    for part in PROFILES[name]:
        overlay(values, copy.deepcopy(dict(_MORE[part])) if part in _MORE else _read(part))
    return values


def overlay(values: Document, more: Mapping[str, Any]) -> Document:
    """Lay ``more`` over ``values``, as Helm does."""
    for key, value in more.items():
        inner = values.get(key)
        values[key] = overlay(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return values


def render(values: Document, namespace: str = NAMESPACE, name: str = RELEASE) -> list[Document]:
    """Return every object of a release.

    Raises:
        HelmError: The values do not fit.
    """
    return [
        document
        for path, text in _chart().render(values, name=name, namespace=namespace).items()
        if path.endswith(".yaml")
        for document in yaml.load_all(text, Loader=_Loader)
        if document
    ]


def notes(values: Document) -> str:
    """Return what Helm says after an installation."""
    rendered = _chart().render(values, name=RELEASE, namespace=NAMESPACE)
    return next(text for path, text in rendered.items() if path.endswith("NOTES.txt"))


def refusal(values: Document) -> str:
    """Return why values are refused; an empty text if they are not."""
    try:
        _chart().render(values, name=RELEASE, namespace=NAMESPACE)
    except HelmError as error:
        return str(error)
    return ""


@cache
def rendered(name: str) -> tuple[Document, ...]:
    """Return every object of a profile; not to be changed."""
    return tuple(render(profile(name)))


def of_kind(documents: tuple[Document, ...] | list[Document], kind: str) -> dict[str, Document]:
    """Return the objects of a kind by name, without that of the release."""
    return {
        document["metadata"]["name"].removeprefix(f"{RELEASE}-"): document
        for document in documents
        if document["kind"] == kind
    }


def services(documents: tuple[Document, ...] | list[Document]) -> dict[str, Document]:
    """Return the Deployments of the services by name: not that of the tools."""
    found = of_kind(documents, "Deployment")
    return {name: found[name] for name in WORKLOADS if name in found}


def pods(documents: tuple[Document, ...] | list[Document]) -> Iterator[tuple[str, Document]]:
    """Yield the specification of every pod that comes of ``documents``, those of jobs among them."""
    for document in documents:
        name = f"{document['kind']} {document['metadata']['name']}"
        match document["kind"]:
            case "Deployment" | "StatefulSet":
                yield name, document["spec"]["template"]["spec"]
            case "Pod":
                yield name, document["spec"]
            case "WorkflowTemplate":
                yield from _job_pods(name, document["spec"])
            case _:
                pass


def _job_pods(name: str, spec: Document) -> Iterator[tuple[str, Document]]:
    for template in spec["templates"]:
        if "container" in template:
            yield (
                f"{name} {template['name']}",
                {
                    "securityContext": spec["securityContext"],
                    "containers": [template["container"], *template.get("sidecars", ())],
                    "initContainers": template.get("initContainers", []),
                    "volumes": template.get("volumes", []),
                },
            )


@cache
def _chart() -> Chart:
    return Chart.load(CHART)


def _read(name: str) -> Document:
    values: Document = yaml.safe_load((CHART / "values" / f"{name}.yaml").read_text(encoding="utf-8"))
    return values
