"""Which engine does the jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Literal

from odm_gateway.adapters.local_engine import LocalEngine
from odm_gateway.adapters.simulated_engine import SimulatedEngine
from odm_gateway.adapters.spare_worker import SpareWorker
from odm_gateway.config import EngineKind, Settings
from odm_gateway.odm_worker import local_command
from odm_gateway.ports import Engine
from shared.errors import InvalidInputError
from shared.platform import Platform
from shared.service import Service


@asynccontextmanager
async def opened_engine(
    settings: Settings, on: Platform, service: Service, spare: SpareWorker
) -> AsyncIterator[Engine]:
    """Open the engine that ``settings`` name.

    Raises:
        InvalidInputError: It is not installed, or has nothing to work with.
    """
    if settings.engine is not EngineKind.ARGO:
        yield _engine(settings.engine, settings, on, service, spare)
        return
    if find_spec("lightkube") is None:
        raise InvalidInputError(
            "What talks to Kubernetes is not installed: install odm-gateway[argo]", field="engine"
        )
    from odm_gateway.adapters.argo.opening import open_argo  # noqa: PLC0415 - an extra

    async with open_argo(settings, on.objects, service) as engine:
        yield engine


def _engine(
    kind: Literal[EngineKind.LOCAL, EngineKind.SIMULATE],
    settings: Settings, on: Platform, service: Service, spare: SpareWorker,
) -> Engine:  # fmt: skip
    match kind:
        case EngineKind.LOCAL if settings.local_command:
            work_dir = settings.work_dir or on.settings.home / "work"
            return LocalEngine(on.objects, work_dir, local_command(settings.local_command))
        case EngineKind.LOCAL:
            if find_spec("rasterio") is None:
                raise InvalidInputError(
                    "The built-in engine is not installed: install odm-gateway[local], or set"
                    " ODM_GATEWAY_ENGINE=simulate",
                    field="engine",
                )
            service.background("spare worker", spare.keep)
            return LocalEngine(on.objects, settings.work_dir or on.settings.home / "work", spare=spare)
        case EngineKind.SIMULATE:
            return SimulatedEngine(on.objects, settings.simulate_seconds)
