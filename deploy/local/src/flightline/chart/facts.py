"""``files/facts.json`` of the chart: what its templates have to know of the code."""

from __future__ import annotations

import math
from typing import Any

from flightline.chart.services import OWNED, WORKLOADS, Scaling, Workload, is_secret, settings_of
from odm_gateway.adapters.argo.kubernetes import PERMISSIONS
from shared.service.running import HAND_BACK
from shared.setting_faults import variable


def facts() -> dict[str, Any]:
    """Return them."""
    return {
        "services": {name: _service(each) for name, each in sorted(WORKLOADS.items())},
        "permissions": [
            {
                "group": resource.root.split("/")[1] if resource.root.startswith("apis/") else "",
                "resource": resource.plural,
                "verbs": sorted(verbs),
            }
            for resource, verbs in PERMISSIONS.items()
        ],
    }


def _service(workload: Workload) -> dict[str, Any]:
    fields = workload.settings.model_fields
    return {
        "image": workload.command[0],
        "command": list(workload.command),
        "settingsOf": workload.command[0],
        "portVariable": variable(workload.settings, workload.port_field),
        "port": workload.port or fields[workload.port_field].default,
        "graceVariable": variable(workload.settings, "shutdown_grace"),
        "graceSeconds": math.ceil(fields["shutdown_grace"].default.total_seconds()),
        "handBackSeconds": math.ceil(HAND_BACK.total_seconds()),
        "serves": workload.is_called,
        "calledBy": list(workload.called_by),
        "callsOutside": workload.calls_outside,
        "scaling": _scaling(workload.scaling) if workload.scaling else None,
    }


def _scaling(scaling: Scaling) -> dict[str, Any]:
    waiting = {"collection": scaling.collection, "query": dict(scaling.query)} if scaling.query else None
    return {
        "queue": scaling.queue,
        "perReplica": scaling.per_replica,
        "perReplicaVariable": scaling.per_replica_variable,
        "documents": waiting,
    }


def secrets() -> list[dict[str, Any]]:
    """Return what the services take from secrets, as ``files/secrets.json`` of the chart says it."""
    everybody = sorted(WORKLOADS)
    found = [
        _secret(
            "FLIGHTLINE_BUS", everybody, "rabbitmq.external.secret", "URL of RabbitMQ, with its password."
        ),
        _secret(
            "FLIGHTLINE_STATE", everybody, "mongodb.external.secret", "URL of MongoDB, with its password."
        ),
        _secret("FLIGHTLINE_S3_ACCESS_KEY", everybody, "objects.external.existingSecret", _S3, optional=True),
        _secret("FLIGHTLINE_S3_SECRET_KEY", everybody, "objects.external.existingSecret", _S3, optional=True),
    ]
    for family in ("platform", *dict.fromkeys(each.command[0] for each in WORKLOADS.values())):
        read_by = [name for name, each in WORKLOADS.items() if family in ("platform", each.command[0])]
        found += _secrets_of(family, sorted(read_by))
    return found


_S3 = "Key of the object store, where pods have no role; for the jobs of argo, too."


def _secrets_of(name: str, read_by: list[str]) -> list[dict[str, Any]]:
    settings = settings_of(name)
    return [
        _secret(
            each,
            read_by,
            f"secrets.{each}" if name == "platform" else f"services.{name}.secrets.{each}",
            settings.model_fields[field].description or "",
            optional=each != "FLIGHTLINE_TOKEN",
        )
        for field in settings.model_fields
        if is_secret(settings, field) and (each := variable(settings, field)) not in OWNED
    ]


def _secret(
    name: str, read_by: list[str], named_by: str, description: str, *, optional: bool = False
) -> dict[str, Any]:
    return {
        "variable": name,
        "readBy": read_by,
        "namedBy": named_by,
        "optional": optional,
        "description": description,
    }
