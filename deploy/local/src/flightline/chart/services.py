"""The services as the chart runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings

import datalab.config
import datalab.execution.collections
import datalab.execution.events
import discovery.config
import ingest.collections
import ingest.config
import ingest.resources
import mover.config
import odm_gateway.config
import scaler.collections
import scaler.config
import scaler.resources
from ingest.domain.transfers import TransferState
from scaler.domain.pieces import PieceState
from shared.due import NEVER_S
from shared.setting_faults import variable
from shared.settings import PlatformSettings, ServiceSettings


@dataclass(frozen=True, slots=True)
class Scaling:
    """What waits for a service, by which the number of its pods is chosen."""

    queue: str
    per_replica: int
    """What one pod works on together."""
    per_replica_variable: str
    """Setting that says another number."""
    collection: str | None = None
    query: Mapping[str, Any] | None = None
    """Documents that wait, where an event is only the beginning of work."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A service, or a part of one that runs by itself."""

    settings: type[ServiceSettings]
    command: tuple[str, ...]
    port_field: str = "port"
    port: int | None = None
    """Where the default is any free one."""
    is_called: bool = True
    """Requests come in, which have to be led elsewhere before it ends."""
    calls_outside: bool = True
    called_by: tuple[str, ...] = ()
    scaling: Scaling | None = None


WORKLOADS: Mapping[str, Workload] = {
    "discovery": Workload(discovery.config.Settings, ("discovery",), called_by=("ingest", "scaler")),
    "ingest": Workload(
        ingest.config.Settings,
        ("ingest",),
        scaling=Scaling(
            ingest.resources.SUBSCRIPTIONS[0].queue,
            int(ingest.config.Settings.model_fields["transfers_at_once"].default),
            variable(ingest.config.Settings, "transfers_at_once"),
            ingest.collections.TRANSFERS.name,
            {"index.state": TransferState.COPYING.value},
        ),
    ),
    "scaler": Workload(
        scaler.config.Settings,
        ("scaler",),
        scaling=Scaling(
            scaler.resources.SUBSCRIPTIONS[0].queue,
            4,  # as values.yaml sets it: the default counts the cores of the node, not of the pod
            variable(scaler.config.Settings, "images_at_once"),
            scaler.collections.PIECES.name,
            {"index.state": PieceState.OPEN.value, "index.due_s": {"$lt": NEVER_S}},
        ),
    ),
    "mover": Workload(mover.config.Settings, ("mover",)),
    "datalab": Workload(datalab.config.Settings, ("datalab",)),
    "datalab-worker": Workload(
        datalab.config.Settings,
        ("datalab", "worker"),
        port_field="worker_port",
        port=8007,
        is_called=False,
        scaling=Scaling(
            datalab.execution.events.CALLS.queue, 1, variable(datalab.config.Settings, "workers")
        ),
    ),
    "odm-gateway": Workload(odm_gateway.config.Settings, ("odm-gateway",)),
}

OWNED: frozenset[str] = frozenset(
    {
        "FLIGHTLINE_BUS",
        "FLIGHTLINE_DISCOVERY_URL",
        "FLIGHTLINE_HOME",
        "FLIGHTLINE_HOST",
        "FLIGHTLINE_OBJECTS",
        "FLIGHTLINE_S3_ACCESS_KEY",
        "FLIGHTLINE_S3_ENDPOINT",
        "FLIGHTLINE_S3_REGION",
        "FLIGHTLINE_S3_SECRET_KEY",
        "FLIGHTLINE_STATE",
        "FLIGHTLINE_VAULT_KUBERNETES_ROLE",
        "FLIGHTLINE_VAULT_KUBERNETES_TOKEN_FILE",
        "DATALAB_WORKER_PORT",
        "DATALAB_WORK_FOLDER",
        "ODM_GATEWAY_ARGO_GPU_TEMPLATE",
        "ODM_GATEWAY_ARGO_KUBECONFIG",
        "ODM_GATEWAY_ARGO_NAMESPACE",
        "ODM_GATEWAY_ARGO_TEMPLATE",
        "ODM_GATEWAY_CLUSTER_URL",
        "ODM_GATEWAY_ENGINE",
        "ODM_GATEWAY_WORK_DIR",
        *(variable(each.settings, name) for each in WORKLOADS.values() for name in ("host", "port")),
    }
)
"""Variables that follow from other values of the chart, which nobody may set beside them."""


def settings_of(name: str) -> type[BaseSettings]:
    """Return the settings of a service, or with ``platform`` those that all have."""
    return PlatformSettings if name == "platform" else WORKLOADS[name].settings


def is_secret(settings: type[BaseSettings], field: str) -> bool:
    """Return whether a field is never to be written out."""
    return SecretStr.__name__ in str(settings.model_fields[field].annotation)
