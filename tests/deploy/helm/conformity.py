"""Whether objects are what Kubernetes, its operators and restricted Pod Security take."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator, Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource

Document = dict[str, Any]

VERSIONS = ("1.30", "1.31", "1.32", "1.33", "1.34", "1.35")
CRDS: tuple[Document, ...] = tuple(
    yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "crds").glob("*.yaml"))
)
CUSTOM: dict[str, Document] = {
    f"{crd['spec']['group']}/{version['name']}/{crd['spec']['names']['kind']}": version["schema"][
        "openAPIV3Schema"
    ]
    for crd in CRDS
    for version in crd["spec"]["versions"]
}
"""Schemas of custom resources, by version and kind."""
RESTRICTED_VOLUMES = {"name", "configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}
RESTRICTED_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_SCHEMAS = files("kubernetes_validate") / "kubernetes-json-schema"


def kind_of(document: Document) -> str:
    """Return version and kind, as in ``apps/v1/Deployment``."""
    return f"{document['apiVersion']}/{document['kind']}"


def misfits(document: Document, version: str) -> list[str]:
    """Return what Kubernetes of ``version``, or an operator, does not know or take."""
    kind = kind_of(document)
    if kind in CUSTOM:
        errors = _custom(kind).iter_errors(document)
    else:
        errors = _builtin(kind, version).iter_errors(document)
    return [f"{document['metadata']['name']} {error.json_path}: {error.message}" for error in errors]


@cache
def _custom(kind: str) -> Draft7Validator:
    return Draft7Validator(strict(CUSTOM[kind]))


def strict(schema: Document) -> Document:
    """Return a schema as the API server reads it, but what it would drop without a word is refused."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]} | {key: schema[key] for key in ("pattern",) if key in schema}
    found = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if "properties" in schema:
        found["properties"] = {name: strict(each) for name, each in schema["properties"].items()}
        found["additionalProperties"] = schema.get("x-kubernetes-preserve-unknown-fields", False)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = strict(schema[key])
    if "properties" in schema and set(schema["properties"]) == {"apiVersion", "kind", "metadata", "spec"}:
        found["properties"]["metadata"] = {"type": "object"}
    return found


@cache
def _builtin(kind: str, version: str) -> Draft202012Validator:
    group, _, name = kind.rpartition("/")
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", group)
    [folder] = [
        each for each in _SCHEMAS.iterdir() if re.fullmatch(rf"v{version}\.\d+-local-strict", each.name)
    ]
    return Draft202012Validator(
        json.loads((folder / f"{name.lower()}-{short}.json").read_text(encoding="utf-8")),
        registry=_definitions(folder.name),
    )


@cache
def _definitions(folder: str) -> Registry[Any]:
    text = (_SCHEMAS / folder / "_definitions.json").read_text(encoding="utf-8")
    definitions: Resource[Any] = Resource.from_contents(json.loads(text))
    registry: Registry[Any] = Registry().with_resource("_definitions.json", definitions)
    return registry.crawl()  # once, instead of at each reference


def faults(pod: Document) -> list[str]:
    """Return what the restricted standard forbids, and what is wanted besides: a root nobody writes to."""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    found += [volume["name"] for volume in pod.get("volumes", ()) if set(volume) - RESTRICTED_VOLUMES]
    whole = pod.get("securityContext", {})
    if whole.get("runAsNonRoot") is not True or not whole.get("runAsUser"):
        found.append("may be root")
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        found += [f"{container['name']}: {fault}" for fault in _container_faults(container)]
    return found


def _container_faults(container: Document) -> list[str]:
    context = container.get("securityContext", {})
    found = [key for key, value in RESTRICTED_CONTEXT.items() if context.get(key) != value]
    found += ["hostPort" for port in container.get("ports", ()) if "hostPort" in port]
    return found + ([] if "memory" in container["resources"]["limits"] else ["no limit of memory"])
