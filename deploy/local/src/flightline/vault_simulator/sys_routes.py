"""Requests about Vault itself: its health, and what is mounted."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from flightline.vault_simulator.answers import RefusedError, denied, done, given
from flightline.vault_simulator.asking import allowed, body_of, path_of, vault_of
from flightline.vault_simulator.kv import Engine
from flightline.vault_simulator.tokens import ROOT
from flightline.vault_simulator.vault import Condition

VERSION = "1.21.0+simulated"


async def health(request: Request) -> Response:
    """Answer ``sys/health`` to anybody, with a status that tells."""
    condition = vault_of(request).condition
    document = {
        "initialized": condition.is_initialized,
        "sealed": condition.is_sealed,
        "standby": condition.is_standby or condition.is_sealed,
        "performance_standby": False,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": int(time.time()),
        "version": VERSION,
        "enterprise": False,
        "cluster_name": "simulated",
    }
    return JSONResponse(document, _health_status(condition))


def _health_status(condition: Condition) -> int:
    if not condition.is_initialized:
        return HTTPStatus.NOT_IMPLEMENTED
    if condition.is_sealed:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.TOO_MANY_REQUESTS if condition.is_standby else HTTPStatus.OK


async def seal_status(request: Request) -> Response:
    """Answer ``sys/seal-status`` to anybody."""
    condition = vault_of(request).condition
    document = {
        "type": "shamir",
        "initialized": condition.is_initialized,
        "sealed": condition.is_sealed,
        "t": 1,
        "n": 1,
        "progress": 0,
        "version": VERSION,
    }
    return JSONResponse(document)


async def mount_of(request: Request) -> Response:
    """Answer ``sys/internal/ui/mounts/{path}``: where a path is mounted, to who may use something there."""
    token = allowed(request)
    vault = vault_of(request)
    path = path_of(request).removeprefix("sys/internal/ui/mounts").strip("/")
    try:
        mount, engine, _ = vault.engine(path)
    except RefusedError:
        raise _no_preflight(path) from None
    may = (f"{mount}/",) if ROOT in token.policies else vault.tokens.allowed(token)
    if not any(prefix.startswith(f"{mount}/") for prefix in may):
        raise _no_preflight(path)
    return given({**_facts(engine), "path": f"{mount}/"})


def _no_preflight(path: str) -> RefusedError:
    reason = "preflight capability check returned 403, please ensure client's policies grant access to path"
    refusal = denied()
    refusal.body = {"errors": [f'{reason} "{path}/"']}
    return refusal


async def list_mounts(request: Request) -> Response:
    """Answer ``GET sys/mounts``."""
    allowed(request)
    return given({f"{path}/": _facts(engine) for path, engine in vault_of(request).mounts.items()})


async def add_mount(request: Request) -> Response:
    """Answer ``POST sys/mounts/{path}``: a key-value engine."""
    allowed(request)
    path = path_of(request).removeprefix("sys/mounts/")
    body = await body_of(request)
    if body.get("type") not in ("kv", "kv-v2"):
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"plugin not found in the catalog: {body.get('type')}")
    if path in vault_of(request).mounts:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"path is already in use at {path}/")
    version = str((body.get("options") or {}).get("version", "1"))
    vault_of(request).mount(path, 2 if version == "2" or body["type"] == "kv-v2" else 1)
    return done()


def _facts(engine: Engine) -> dict[str, Any]:
    return {
        "type": "kv",
        "description": "",
        "accessor": "kv_simulated",
        "local": False,
        "seal_wrap": False,
        "options": {"version": str(engine.version)},
        "config": {"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": False},
    }
