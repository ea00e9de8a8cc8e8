"""The objects that make a job run in a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from odm_gateway.adapters.argo.kubernetes import CLAIMS, WORKFLOWS, Manifest, Resource
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.sizing import Size, is_on
from odm_gateway.ports import Job

FINALIZER = "flightline.io/recorded"
"""Keeps a workflow that ended, however it is deleted, until its end is recorded here."""
MANAGER_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "flightline"
OURS = f"{MANAGER_LABEL}={MANAGER}"
"""The label selector of everything that we make."""
TASK_LABEL = "flightline.io/task"
TENANT_LABEL = "flightline.io/tenant"
SUBMODEL_LABEL = "flightline.io/submodel"
TRACE_ANNOTATION = "flightline.io/traceparent"
LABEL_AT_MOST_CHARACTERS = 63

KEPT_AFTER_SUCCESS = timedelta(hours=1)
KEPT_AFTER_FAILURE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is the same for all jobs."""

    template: str
    odm_image: str
    gpu_image: str | None = None
    storage_class: str | None = None
    gpu_template: str | None = None
    """None: the same."""


def claim_name(job: Job) -> str:
    """Return the name of the job's volume claim."""
    return f"ws-{job.name}"


def claim(job: Job, size: Size, recipe: Recipe) -> Manifest:
    """Return the job's workspace: it outlives pods, so that a retry goes on where its predecessor stopped."""
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{size.disk_gib}Gi"}},
    }
    if recipe.storage_class:
        spec["storageClassName"] = recipe.storage_class
    return _object(CLAIMS, claim_name(job), job, {}, spec)


def workflow(job: Job, size: Size, recipe: Recipe, manifest_uri: str) -> Manifest:
    """Return the job's workflow: parameters for a template of the cluster, and nothing that is code."""
    on_gpu = recipe.gpu_image is not None and not any(
        option.name == "no-gpu" and is_on(option) for option in job.options
    )
    parameters = {
        "job": job.name,
        "manifest": manifest_uri,
        "workspace": claim_name(job),
        "odm-image": recipe.gpu_image if on_gpu else recipe.odm_image,
        **{f"mem{rung}": f"{memory}Gi" for rung, memory in enumerate(size.memory_gib)},
        "cpu": str(size.cores),
        "deadline-seconds": str(round(size.deadline.total_seconds())),
        "capacity": size.capacity,
        "gpu": "1" if on_gpu else "0",
        "traceparent": job.traceparent or "",
    }
    spec: Manifest = {
        "workflowTemplateRef": {"name": (on_gpu and recipe.gpu_template) or recipe.template},
        "arguments": {"parameters": [{"name": name, "value": value} for name, value in parameters.items()]},
        "ttlStrategy": {
            "secondsAfterSuccess": round(KEPT_AFTER_SUCCESS.total_seconds()),
            "secondsAfterFailure": round(KEPT_AFTER_FAILURE.total_seconds()),
        },
        "podGC": {"strategy": "OnPodCompletion"},
    }
    about: Manifest = {"finalizers": [FINALIZER]}
    if job.traceparent:
        about["annotations"] = {TRACE_ANNOTATION: job.traceparent}
    return _object(WORKFLOWS, job.name, job, about, spec)


def is_of(made: Manifest, job: Job) -> bool:
    """Return whether an object was made for the job."""
    labels = made["metadata"].get("labels") or {}
    return (labels.get(MANAGER_LABEL), labels.get(TASK_LABEL)) == (MANAGER, task_key(job.task_id))


def label_value(text: str) -> str:
    """Return ``text`` with what no label may have replaced, and cut to what one may be long."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:LABEL_AT_MOST_CHARACTERS].strip("._-")


def _object(resource: Resource, name: str, job: Job, metadata: Manifest, spec: Manifest) -> Manifest:
    labels = {MANAGER_LABEL: MANAGER, TASK_LABEL: task_key(job.task_id)}
    if tenant := label_value(job.tenant):
        labels[TENANT_LABEL] = tenant
    if job.is_submodel:
        labels[SUBMODEL_LABEL] = "true"
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "labels": labels, **metadata},
        "spec": spec,
    }
