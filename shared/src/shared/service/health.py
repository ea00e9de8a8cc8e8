"""Routes by which a cluster asks how a service is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.status import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from shared.service.readiness import Health, Readiness

router = APIRouter(tags=["operation"])


class Liveness(BaseModel):
    """The answer of ``/healthz``."""

    status: Literal["alive"] = "alive"
    service: str
    version: str = ""
    """Of the service's package; empty where it is none."""


def _health(request: Request) -> Health:
    health: Any = request.app.state.service.health
    assert isinstance(health, Health)
    return health


@router.get("/healthz")
async def healthz(health: Annotated[Health, Depends(_health)]) -> Liveness:
    """Say that the event loop turns; what the service depends on does not matter here."""
    return Liveness(service=health.service, version=_version(health.service))


@cache
def _version(service: str) -> str:
    try:
        return version(service)
    except PackageNotFoundError:
        return ""


@router.get("/readyz", responses={HTTP_503_SERVICE_UNAVAILABLE: {"model": Readiness}})
async def readyz(response: Response, health: Annotated[Health, Depends(_health)]) -> Readiness:
    """Say whether the service takes work, and if not, why."""
    readiness = await health.readiness()
    response.status_code = HTTP_200_OK if readiness.status == "ready" else HTTP_503_SERVICE_UNAVAILABLE
    return readiness


@router.get("/metrics", response_class=Response, responses={HTTP_200_OK: {"content": {"text/plain": {}}}})
async def metrics() -> Response:
    """Return the metrics of the process in Prometheus' text format."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
