"""Every route of the simulator, and what comes before them: faults, the seal, and the namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http import HTTPStatus

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from flightline.vault_simulator import auth_routes, control, kv_routes, sys_routes
from flightline.vault_simulator.answers import RefusedError
from flightline.vault_simulator.asking import API, path_of, vault_of
from flightline.vault_simulator.faults import Rule
from flightline.vault_simulator.vault import Condition, SimulatedVault

_OPEN = ("sys/health", "sys/seal-status")
"""What is answered in any condition."""
_WRITE = ["POST", "PUT"]


def create_app(vault: SimulatedVault) -> Starlette:
    """Return the HTTP side of ``vault``."""
    app = Starlette(
        routes=[*_control(), *_system(), *_logins(), _secrets()],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_watch)],
    )
    app.state.vault = vault
    return app


def _system() -> Iterator[Route]:
    yield Route("/v1/sys/health", sys_routes.health)
    yield Route("/v1/sys/seal-status", sys_routes.seal_status)
    yield Route("/v1/sys/internal/ui/mounts/{path:path}", sys_routes.mount_of)
    yield Route("/v1/sys/mounts", sys_routes.list_mounts)
    yield Route("/v1/sys/mounts/{path:path}", sys_routes.add_mount, methods=_WRITE)


def _logins() -> Iterator[Route]:
    yield Route("/v1/auth/token/lookup-self", auth_routes.lookup_self)
    yield Route("/v1/auth/token/renew-self", auth_routes.renew_self, methods=_WRITE)
    yield Route("/v1/auth/token/revoke-self", auth_routes.revoke_self, methods=_WRITE)
    yield Route("/v1/auth/{mount:path}/login", auth_routes.log_in, methods=_WRITE)


def _secrets() -> Route:
    methods = ["GET", "LIST", "DELETE", "PATCH", *_WRITE]
    return Route("/v1/{path:path}", kv_routes.use_secrets, methods=methods)


def _control() -> Iterator[Route]:
    root = "/simulator"
    yield Route(f"{root}/condition", control.change_condition, methods=["PATCH"])
    yield Route(f"{root}/roles/{{name}}", control.change_role, methods=["PATCH"])
    yield Route(f"{root}/secrets/{{path:path}}", control.put_secret, methods=["PUT"])
    yield Route(f"{root}/secrets/{{path:path}}", control.patch_secret, methods=["PATCH"])
    yield Route(f"{root}/tokens/end", control.end_tokens, methods=["POST"])
    yield Route(f"{root}/faults", control.list_faults)
    yield Route(f"{root}/faults", control.add_fault, methods=["POST"])
    yield Route(f"{root}/faults", control.clear_faults, methods=["DELETE"])
    yield Route(f"{root}/faults/{{number:int}}", control.remove_fault, methods=["DELETE"])
    yield Route(f"{root}/calls", control.get_calls)
    yield Route(f"{root}/calls", control.reset_calls, methods=["DELETE"])


async def _watch(request: Request, handle: RequestResponseEndpoint) -> Response:
    """Answer a request, in the condition that Vault is in, and count it."""
    if not request.scope["path"].startswith(API):
        return await _answered(request, handle)
    vault, path = vault_of(request), path_of(request)
    rule = vault.faults.take(path)
    response = await _instead(rule) if rule else None
    if response is None:
        response = await _answered(request, handle)
    if rule and rule.kind == "cut":
        response = Response(b'{"request_id": "', response.status_code, media_type="application/json")
    vault.calls.note(request.method, path, response.status_code)
    return response


async def _answered(request: Request, handle: RequestResponseEndpoint) -> Response:
    try:
        if request.scope["path"].startswith(API):
            condition = vault_of(request).condition
            if condition.is_standby and condition.active_url and path_of(request) not in _OPEN:
                return RedirectResponse(f"{condition.active_url}{request.url.path}")
            await _hinder(request, condition)
        return await handle(request)
    except RefusedError as refusal:
        return refusal.answer()
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        return JSONResponse({"errors": faults}, HTTPStatus.UNPROCESSABLE_ENTITY)


async def _hinder(request: Request, condition: Condition) -> None:
    await asyncio.sleep(condition.latency_s)
    if path_of(request) in _OPEN:
        return
    if not condition.is_initialized:
        raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "Vault is not initialized")
    if condition.is_sealed:
        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "Vault is sealed")
    if condition.is_standby:
        reason = "local node not active but active cluster node not found"
        raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, reason)
    if request.headers.get("X-Vault-Namespace", "").strip("/") != condition.namespace:
        raise RefusedError(HTTPStatus.NOT_FOUND, "namespace not found")


async def _instead(rule: Rule) -> Response | None:
    """Return what is answered before Vault hears of the request; None: it hears of it."""
    match rule.kind:
        case "status":
            return JSONResponse({"errors": [rule.message]}, rule.status)
        case "html":
            return HTMLResponse("<html><body>Sign in to the network</body></html>", HTTPStatus.OK)
        case "delay":
            await asyncio.sleep(rule.seconds)
        case "cut":
            pass
    return None
