"""Outside systems, as far as they are configured: Vault, Tapis, Argo's cluster, what datalab asks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import ClientSession, ClientTimeout

import datalab.config
import odm_gateway.config
from flightline.fitness.finding import Check, Look
from shared.errors import PermanentError
from shared.settings import PlatformSettings, load

if TYPE_CHECKING:
    from odm_gateway.adapters.argo.kubernetes import Kubernetes, Resource

ANSWER_WITHIN_S = 10.0
REVIEWS = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_UNSEALED = (200, 429, 472, 473)
"""Standby nodes, too: they send us on."""
_VAULT_STATES = {501: "not initialised", 503: "sealed"}


async def vault(settings: PlatformSettings) -> str:
    """Ask Vault how it is; whether it lets us in is said with the constants."""
    return await asyncio.to_thread(_vault, settings)


def _vault(settings: PlatformSettings) -> str:
    from shared.vault.session import VaultSession  # noqa: PLC0415 - requests takes a while to import

    assert settings.vault_url is not None
    url = settings.vault_url.rstrip("/")
    with VaultSession(url, timeout_s=ANSWER_WITHIN_S, ca_file=settings.vault_ca_file) as session:
        status = session.get(
            f"{url}/v1/sys/health?standbyok=true&perfstandbyok=true", timeout=ANSWER_WITHIN_S
        ).status_code
    if status not in _UNSEALED:
        raise PermanentError(
            f"Vault at {url} is {_VAULT_STATES.get(status, f'not well: it answered {status}')}"
        )
    return f"{url}: unsealed"


async def tapis(settings: PlatformSettings) -> str:
    """Ask the tenant for its key, and let the service account in where there is one."""
    from shared.tapis.connect import connect  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        client = await connect(settings, stack)
        if settings.tapis_username is None:
            return f"{settings.tapis_url}: users log in"
        systems = await client.systems("", settings.tapis_systems)
    return f"{settings.tapis_url} lets {settings.tapis_username} in, who sees {len(systems)} systems"


async def argo(_settings: PlatformSettings) -> str:
    """Ask every cluster whether it lets us do what the gateway does there."""
    from odm_gateway.adapters.argo.clusters import open_clusters  # noqa: PLC0415
    from odm_gateway.argo_config import context_of  # noqa: PLC0415

    own = load(odm_gateway.config.Settings)
    async with open_clusters(
        [context_of(text) for text in own.argo_contexts],
        kubeconfig=own.argo_kubeconfig,
        namespace=own.argo_namespace,
    ) as clusters:
        places = {name: cluster.kubernetes for name, cluster in clusters.by_name.items()}
        denied = [f"{name}: {what}" for name, each in places.items() for what in await _denied(each)]
    if denied:
        raise PermanentError(f"it does not let us {'; '.join(denied)}")
    return f"{', '.join(f'{name} ({each.namespace})' for name, each in places.items())} lets us"


async def _denied(kubernetes: Kubernetes) -> list[str]:
    from odm_gateway.adapters.argo.kubernetes import PERMISSIONS  # noqa: PLC0415 - few have a cluster

    asked = [(resource, verb) for resource, verbs in PERMISSIONS.items() for verb in sorted(verbs)]
    allowed = await asyncio.gather(*(_is_allowed(kubernetes, *each) for each in asked))
    return [
        f"{verb} {one.plural}" for (one, verb), is_ours in zip(asked, allowed, strict=True) if not is_ours
    ]


async def _is_allowed(kubernetes: Kubernetes, resource: Resource, verb: str) -> bool:
    group = resource.api_version.rpartition("/")[0]
    wanted = {
        "namespace": kubernetes.namespace, "verb": verb, "group": group, "resource": resource.plural,
    }  # fmt: skip
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted},
    }
    answer = await kubernetes.http.post(REVIEWS, json=review)
    if answer.is_error:
        raise PermanentError(f"the cluster answered {answer.status_code} when asked for our rights")
    return bool(answer.json()["status"]["allowed"])


def _answers(url: str) -> Look:
    """Return a look whether somebody answers at ``url``, whatever they say to somebody without a login."""

    async def look(_settings: PlatformSettings) -> str:
        async with (
            ClientSession(timeout=ClientTimeout(total=ANSWER_WITHIN_S)) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise PermanentError(f"{url} answered {answer.status}")
            return f"{url} answers"

    return look


def checks(settings: PlatformSettings) -> list[Check]:
    """Return what is configured.

    Raises:
        InvalidInputError: Settings of a service cannot be read; there is a check that says which.
    """
    found = []
    if settings.vault_url is not None:
        found.append(Check("vault", vault, "FLIGHTLINE_VAULT_URL; unseal it; FLIGHTLINE_VAULT_CA_FILE"))
    if settings.tapis_url is not None:
        remedy = "FLIGHTLINE_TAPIS_…: address, tenant, client, user; docs/tapis.md"
        found.append(Check("tapis", tapis, remedy))
    if load(odm_gateway.config.Settings).engine == "argo":
        remedy = "ODM_GATEWAY_ARGO_…: kubeconfig, contexts, namespace; its role: deploy/argo/rbac.yaml"
        found.append(Check("argo", argo, remedy))
    own = load(datalab.config.Settings)
    named = {"archive": own.archive_url, "portal": own.portal_url, "tap": own.tap_url}
    for what, url in named.items():
        if f"{what}_url" in own.model_fields_set and url is not None:
            found.append(Check(what, _answers(str(url)), f"DATALAB_{what.upper()}_URL, and the way there"))
    return found
