"""Asking the services how they are, all at once."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from typing import Any

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout

from flightline.overview.model import ServiceLook
from shared.errors import InvalidInputError
from shared.service.readiness import CHECK_AT_MOST_S
from shared.settings import ServiceSettings, load

SETTINGS = {
    "discovery": "discovery.config",
    "ingest": "ingest.config",
    "scaler": "scaler.config",
    "mover": "mover.config",
    "datalab": "datalab.config",
    "odm-gateway": "odm_gateway.config",
}
"""The module that has a service's settings; all of a service would take a second to import."""

EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - where others listen
ANSWER_WITHIN_S = CHECK_AT_MOST_S + 1
"""A service that waits for a backend says which one, in that time."""


def settings_of(service: str) -> type[ServiceSettings]:
    """Return the settings that a service reads."""
    settings: type[ServiceSettings] = importlib.import_module(SETTINGS[service]).Settings
    return settings


def addresses(template: str | None = None) -> dict[str, str]:
    """Return where each service is to be asked.

    Args:
        template: Such as ``http://flightline-{service}:{port}``; none: where its settings have it listen.

    Raises:
        InvalidInputError: The template names something else.
    """
    return {service: _address(service, template) for service in SETTINGS}


def _address(service: str, template: str | None) -> str:
    kind = settings_of(service)
    if template is None:
        own = load(kind)
        host = "127.0.0.1" if own.host in EVERYWHERE else own.host
        return f"http://[{host}]:{own.port}" if ":" in host else f"http://{host}:{own.port}"
    try:
        return template.format(service=service, port=kind.model_fields["port"].default).rstrip("/")
    except (IndexError, KeyError, ValueError) as error:
        raise InvalidInputError(
            f"--services {template}: expected a URL such as http://flightline-{{service}}:{{port}}",
            field="--services",
            value=template,
        ) from error


async def look_at(where: Mapping[str, str]) -> list[ServiceLook]:
    """Ask every service whether it is ready; those that are away cost no more than ``ANSWER_WITHIN_S``."""
    timeout = ClientTimeout(total=ANSWER_WITHIN_S)
    async with ClientSession(timeout=timeout) as session:
        return await asyncio.gather(*(_asked(session, *each) for each in where.items()))


async def _asked(session: ClientSession, name: str, url: str) -> ServiceLook:
    try:
        readiness, liveness = await asyncio.gather(
            _json(session, f"{url}/readyz"), _json(session, f"{url}/healthz")
        )
    except TimeoutError:
        return ServiceLook(name, url, "silent", {"http": f"no answer within {ANSWER_WITHIN_S:g} s"})
    except ClientConnectorError:
        return ServiceLook(name, url, "silent", {"http": "nobody listens there"})
    except (ClientError, OSError, ValueError) as error:
        return ServiceLook(name, url, "silent", {"http": f"{type(error).__name__}: {error}"})
    if liveness.get("service") != name:
        return ServiceLook(name, url, "silent", {"http": f"somebody else answers there: {liveness}"[:200]})
    version = str(liveness.get("version", ""))
    state = readiness.get("status")
    if state == "ready":
        return ServiceLook(name, url, "ready", version=version)
    failing = {str(check): str(why) for check, why in dict(readiness.get("failing") or {}).items()}
    return ServiceLook(name, url, "draining" if state == "draining" else "unready", failing, version)


async def _json(session: ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, allow_redirects=False) as answer:
        body = await answer.json(content_type=None)
    if not isinstance(body, dict):
        raise ValueError("somebody else answers there")  # noqa: TRY004 - what came over the wire is wrong
    return body
