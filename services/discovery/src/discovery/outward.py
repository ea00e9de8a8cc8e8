"""Opens what discovery does for people beside the pipeline: projects, and notifications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from pydantic import SecretStr

from discovery.collections import COUNTERS, NOTICES, PROJECTS
from discovery.config import Settings
from discovery.domain.flights import Flight
from discovery.domain.notifications import Notice
from discovery.domain.projects import Counter, Project
from discovery.notifications import Messenger, Notifications, WishesOf, operators_wishes
from discovery.projects import Projects
from shared.platform import Platform
from shared.service import Service
from shared.state import Collection
from shared.webhooks import open_webhooks

if TYPE_CHECKING:
    from discovery.adapters.mail import MailServer
    from discovery.project_keeping import Keeper

TIDY_EVERY = timedelta(hours=1)

Look = Callable[[Flight], Awaitable[Flight]]


@asynccontextmanager
async def opened_projects(
    settings: Settings, on: Platform, service: Service, flights: Collection[Flight], look: Look
) -> AsyncIterator[Projects]:
    """Open the projects, and what keeps them the same as WebODM's where there is one.

    Args:
        settings: Of the service.
        on: Its backends.
        service: Runs what happens by itself.
        flights: The flights.
        look: Looks at a flight's source once more; ``Finder.look``.
    """
    await on.store.declare(PROJECTS, COUNTERS)
    projects = Collection(on.store, PROJECTS, Project)
    counters = Collection(on.store, COUNTERS, Counter)
    if settings.webodm_mode == "none":
        yield Projects(projects, counters, flights, "none", look, wake=_nobody)
        return
    async with _opened_keeper(settings, on, projects) as keeper:
        queue = keeper.queue()
        service.background("projects", partial(queue.run, keeper.attend))
        yield Projects(projects, counters, flights, settings.webodm_mode, look, wake=queue.wake)


@asynccontextmanager
async def _opened_keeper(
    settings: Settings, on: Platform, projects: Collection[Project]
) -> AsyncIterator[Keeper]:
    from discovery.adapters.webodm import open_webodm  # noqa: PLC0415 - heavy, and few have one
    from discovery.project_deliveries import Deliveries  # noqa: PLC0415
    from discovery.project_keeping import Keeper  # noqa: PLC0415

    assert settings.webodm_url  # the settings see to it
    password = settings.webodm_password or SecretStr("")
    async with open_webodm(settings.webodm_url, settings.webodm_username, password) as webodm:
        yield Keeper(
            projects,
            webodm,
            Deliveries(webodm, on.objects, settings.gateway_url),
            ladder=on.topology.ladder,
            check=settings.webodm_check_every,
        )


@asynccontextmanager
async def opened_notifications(
    settings: Settings, on: Platform, service: Service, flights: Collection[Flight], wishes_of: WishesOf
) -> AsyncIterator[Notifications]:
    """Open what writes down whom to tell of what, and what tells them.

    Args:
        settings: Of the service.
        on: Its backends.
        service: Runs what happens by itself.
        flights: The flights.
        wishes_of: What an owner wants to hear of, and how.
    """
    await on.store.declare(NOTICES)
    notices = Collection(on.store, NOTICES, Notice)
    webhook = settings.notify_webhook.get_secret_value() if settings.notify_webhook else None
    async with open_webhooks(
        allow_private=settings.allow_private_urls, secret=settings.webhook_secret
    ) as webhooks:
        messenger = Messenger(notices, webhooks, _mail(settings), on.topology.ladder)
        queue = messenger.queue()
        service.background("notifications", partial(queue.run, messenger.deliver))
        service.background("forget notifications", partial(_forget, notices))
        operator = operators_wishes(settings.notify_email, webhook)
        yield Notifications(notices, flights, wishes_of, operator, wake=queue.wake)


def _mail(settings: Settings) -> MailServer | None:
    if settings.smtp_host is None or settings.smtp_from is None:
        return None
    from discovery.adapters.mail import MailServer  # noqa: PLC0415 - heavy, and few have one

    return MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_from,
        settings.smtp_security,
        settings.smtp_username,
        settings.smtp_password,
    )


async def _forget(notices: Collection[Notice]) -> None:
    while True:
        await notices.store.purge_expired(notices.spec.name, datetime.now(UTC))
        await asyncio.sleep(TIDY_EVERY.total_seconds())


def _nobody() -> None:
    return
