"""Every route of the simulator.

A route's name is the operation's id in tapipy, with something behind a dot where an operation has two routes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from aiohttp import web

from flightline.tapis_simulator import (
    content,
    control,
    listings,
    login,
    oauth,
    postit_routes,
    system_routes,
    tenants,
    transfer_routes,
    trouble,
)
from flightline.tapis_simulator.asking import TAPIS
from flightline.tapis_simulator.tapis import Tapis

_MOST_BODY_BYTES = 4 << 20
_OAUTH = "/v3/oauth2"
_FILES = "/v3/files"
_METADATA = "/.well-known/oauth-authorization-server"


def create_app(tapis: Tapis) -> web.Application:
    """Return the HTTP side of ``tapis``."""
    app = web.Application(middlewares=[control.explain, trouble.play], client_max_size=_MOST_BODY_BYTES)
    app[TAPIS] = tapis
    app.cleanup_ctx.append(_stop_transfers)
    for routes in (_tenancy(), _logins(), _systems_and_files(), _control()):
        app.add_routes(routes)
    return app


async def _stop_transfers(app: web.Application) -> AsyncIterator[None]:
    yield
    await app[TAPIS].transfers.stop()


def _tenancy() -> Iterable[web.RouteDef]:
    yield web.get("/v3/sites", tenants.list_sites, name="list_sites")
    yield web.get("/v3/sites/{site_id}", tenants.get_site, name="get_site")
    yield web.get("/v3/tenants", tenants.list_tenants, name="list_tenants")
    yield web.get("/v3/tenants/{tenant_id}", tenants.get_tenant, name="get_tenant")


def _logins() -> Iterable[web.RouteDef]:
    one_client = f"{_OAUTH}/clients/{{client_id}}"
    yield web.get(_METADATA, oauth.get_server_metadata, name="get_server_metadata.root")
    yield web.get(f"{_OAUTH}{_METADATA}", oauth.get_server_metadata, name="get_server_metadata")
    yield web.post(f"{_OAUTH}/tokens", oauth.create_token, name="create_token")
    yield web.post(f"{_OAUTH}/tokens/revoke", oauth.revoke_token, name="revoke_token")
    yield web.get(f"{_OAUTH}/userinfo", oauth.get_userinfo, name="get_userinfo")
    yield web.post(f"{_OAUTH}/device/code", oauth.generate_device_code, name="generate_device_code")
    yield web.get(f"{_OAUTH}/clients", oauth.list_clients, name="list_clients")
    yield web.post(f"{_OAUTH}/clients", oauth.create_client, name="create_client")
    yield web.get(one_client, oauth.get_client, name="get_client")
    yield web.put(one_client, oauth.update_client, name="update_client")
    yield web.delete(one_client, oauth.delete_client, name="delete_client")
    yield web.get(f"{_OAUTH}/authorize", login.authorize, name="authorize")
    yield web.post(f"{_OAUTH}/authorize", login.consent, name="consent")
    yield web.get(f"{_OAUTH}/login", login.login_page, name="login_page")
    yield web.post(f"{_OAUTH}/login", login.login, name="login")
    yield web.get(f"{_OAUTH}/device", login.device_page, name="device_page")
    yield web.post(f"{_OAUTH}/device", login.device, name="device")


def _systems_and_files() -> Iterable[web.RouteDef]:
    at = "{systemId}/{path:.*}"
    transfer = f"{_FILES}/transfers/{{transferTaskId}}"
    yield web.get("/v3/systems", system_routes.get_systems, name="getSystems")
    yield web.get("/v3/systems/{systemId}", system_routes.get_system, name="getSystem")
    yield web.get(f"{_FILES}/ops/{{systemId}}", listings.list_files, name="listFiles.root")
    yield web.get(f"{_FILES}/ops/{at}", listings.list_files, name="listFiles")
    yield web.get(f"{_FILES}/content/{at}", content.get_contents, name="getContents")
    yield web.get(f"{_FILES}/utils/linux/{at}", listings.stat_info, name="getStatInfo")
    yield web.get(f"{_FILES}/postits", postit_routes.list_postits, name="listPostIts")
    yield web.get(f"{_FILES}/postits/redeem/{{postitId}}", postit_routes.redeem_postit, name="redeemPostIt")
    yield web.get(f"{_FILES}/postits/{{postitId}}", postit_routes.get_postit, name="getPostIt")
    yield web.post(f"{_FILES}/postits/{at}", postit_routes.create_postit, name="createPostIt")
    yield web.get(f"{_FILES}/transfers", transfer_routes.list_transfers, name="getRecentTransferTasks")
    yield web.post(f"{_FILES}/transfers", transfer_routes.create_transfer, name="createTransferTask")
    yield web.get(transfer, transfer_routes.get_transfer, name="getTransferTask")
    yield web.delete(transfer, transfer_routes.cancel_transfer, name="cancelTransferTask")
    yield web.get(f"{transfer}/details", transfer_routes.get_transfer_details, name="getTransferTaskDetails")


def _control() -> Iterable[web.RouteDef]:
    root = trouble.CONTROL
    yield web.get(f"{root}faults", control.list_faults)
    yield web.post(f"{root}faults", control.add_fault)
    yield web.delete(f"{root}faults", control.clear_faults)
    yield web.delete(f"{root}faults/{{number:\\d+}}", control.remove_fault)
    yield web.get(f"{root}calls", control.get_calls)
    yield web.delete(f"{root}calls", control.reset_calls)
    yield web.patch(f"{root}settings", control.change_settings)
    yield web.post(f"{root}tokens/{{kind:access|refresh}}/end", control.end_tokens)
    yield web.post(f"{root}tokens/key/rotate", control.rotate_key)
    yield web.patch(f"{root}systems/{{systemId}}", control.change_system)
    yield web.post(f"{root}flights", control.add_flights)
    yield web.put(f"{root}files/{{systemId}}/{{path:.+}}", control.put_file)
    yield web.delete(f"{root}files/{{systemId}}/{{path:.+}}", control.remove_file)
