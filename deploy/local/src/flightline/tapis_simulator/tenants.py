"""Sites and tenants: one of each."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from flightline.tapis_simulator.answers import RefusedError, flask
from flightline.tapis_simulator.asking import TAPIS
from flightline.tapis_simulator.tapis import Tapis

_SITE = "tacc"
_SERVICES = ["systems", "files", "authenticator", "tokens", "tenants", "security-kernel"]


async def list_sites(request: web.Request) -> web.Response:
    """Answer ``GET /v3/sites``."""
    return flask([_site(request.app[TAPIS])], "Sites retrieved successfully.")


async def get_site(request: web.Request) -> web.Response:
    """Answer ``GET /v3/sites/{site_id}``."""
    if request.match_info["site_id"] != _SITE:
        raise RefusedError(400, f"No site found with site_id {request.match_info['site_id']}.")
    return flask(_site(request.app[TAPIS]), "Site retrieved successfully.")


async def list_tenants(request: web.Request) -> web.Response:
    """Answer ``GET /v3/tenants``."""
    return flask([_tenant(request.app[TAPIS])], "Tenants retrieved successfully.")


async def get_tenant(request: web.Request) -> web.Response:
    """Answer ``GET /v3/tenants/{tenant_id}``."""
    tapis, wanted = request.app[TAPIS], request.match_info["tenant_id"]
    if wanted != tapis.tenant:
        raise RefusedError(400, f"No tenant found with tenant_id {wanted}.")
    return flask(_tenant(tapis), "Tenant retrieved successfully.")


def _site(tapis: Tapis) -> dict[str, Any]:
    return {
        "site_id": _SITE,
        "primary": True,
        "base_url": tapis.base_url,
        "tenant_base_url_template": None,
        "site_admin_tenant_id": "admin",
        "services": _SERVICES,
    }


def _tenant(tapis: Tapis) -> dict[str, Any]:
    base = tapis.base_url
    return {
        "tenant_id": tapis.tenant,
        "base_url": base,
        "site_id": _SITE,
        "status": "ACTIVE",
        "description": "A simulated tenant",
        "owner": "admin@tapis.example",
        "admin_user": "admin",
        "public_key": tapis.issuer.public_key,
        "token_service": f"{base}/v3/tokens",
        "security_kernel": f"{base}/v3/security",
        "authenticator": f"{base}/v3/oauth2",
        "token_gen_services": ["authenticator"],
        "service_ldap_connection_id": None,
        "user_ldap_connection_id": None,
        "create_time": "2025-01-01T00:00:00",
        "created_by": "admin",
        "last_update_time": "2025-01-01T00:00:00",
        "last_updated_by": "admin",
    }
