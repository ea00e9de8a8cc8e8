"""What datalab consists of, but for its HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from datalab.accounts import Accounts
from datalab.adapters.portal import Portal, open_portal
from datalab.analysis.asking import IDLE_S, MEMORY_BYTES, TIME_LIMIT_S, Analyses
from datalab.collections import (
    COUNTERS,
    OPERATIONS,
    RECIPES,
    RUNS,
    RUNS_MADE_OF,
    SESSIONS,
    TOKENS,
    UPLOADS,
    USERS,
)
from datalab.config import Settings
from datalab.domain.asked import AskedOperation
from datalab.domain.recipes import Recipe
from datalab.domain.runs import Made, Run
from datalab.domain.sessions import DataSession
from datalab.domain.uploads import Upload
from datalab.domain.users import Token, User
from datalab.doorkeeper import Doorkeeper
from datalab.execution.collections import COLLECTIONS as EXECUTION
from datalab.execution.events import SERVICE
from datalab.execution.opening import SUBSCRIPTIONS, Execution, opened_operations
from datalab.execution.processes import Processes
from datalab.laboratory import Laboratory
from datalab.listing import Listing
from datalab.numbers import Counter, Numbers
from datalab.operations.registry import Registry, registry
from datalab.recipes.applying import Applying
from datalab.recipes.keeping import Recipes
from datalab.recipes.running import Running
from datalab.recipes.runs import Runs
from datalab.removals import Removals
from datalab.sessions import Sessions
from datalab.uploads import Uploads
from datalab.waiting import Waiting
from shared.platform import Platform, service_platform
from shared.service import Resources, Service, State
from shared.state import Collection
from shared.state.owner import process_owner

__all__ = ["COLLECTIONS", "SERVICE", "SUBSCRIPTIONS", "resources"]

COLLECTIONS = (
    SESSIONS,
    OPERATIONS,
    RECIPES,
    RUNS,
    RUNS_MADE_OF,
    UPLOADS,
    USERS,
    TOKENS,
    COUNTERS,
    *EXECUTION,
)


def resources(
    settings: Settings, platform: Platform | None = None, known: Registry | None = None
) -> Resources:
    """Return what datalab consists of.

    Args:
        settings: Those of datalab.
        platform: That of a process that runs several services.
        known: The operations that there are; None: those of the package.
    """

    @asynccontextmanager
    async def opened(service: Service) -> AsyncIterator[State]:
        operations = known or registry()
        async with (
            service_platform(service, platform, SUBSCRIPTIONS, COLLECTIONS) as on,
            _portal(settings) as portal,
        ):
            numbers = Numbers(Collection(on.store, COUNTERS, Counter))
            sessions = Sessions(
                Collection(on.store, SESSIONS, DataSession),
                Collection(on.store, OPERATIONS, AskedOperation),
                numbers,
                settings.max_sessions,
            )
            accounts = Accounts(Collection(on.store, USERS, User), Collection(on.store, TOKENS, Token))
            uploads = _uploads(settings, on, numbers)
            runs = Runs(Collection(on.store, RUNS, Run), Collection(on.store, RUNS_MADE_OF, Made), numbers)
            async with (
                opened_operations(settings, on, service, operations, sessions, [runs.heed]) as execution,
                _processes(settings, on) as processes,
            ):
                removals = Removals(sessions, execution.operations, runs)
                analyses = Analyses(execution.files, on.objects, processes)
                running = _running(settings, runs, sessions, execution)
                waiting = Waiting(sessions.asked, execution.operations, service.draining)
                service.background("following", waiting.run)
                service.background("recipes", running.run)
                service.background("pictures", analyses.run)
                service.background("removals", removals.run)
                service.background("uploads", uploads.run)
                laboratory = Laboratory(
                    settings,
                    accounts,
                    Doorkeeper(accounts, portal),
                    sessions,
                    removals,
                    execution.operations,
                    Listing(sessions.asked, execution.operations),
                    operations,
                    uploads,
                    waiting,
                    analyses,
                    execution.links,
                    Recipes(Collection(on.store, RECIPES, Recipe), numbers),
                    Applying(runs, running, execution.files, operations),
                )
                yield {
                    "laboratory": laboratory,
                    "links": execution.links,
                    "objects": execution.objects,
                }

    return opened


def _running(settings: Settings, runs: Runs, sessions: Sessions, execution: Execution) -> Running:
    return Running(
        runs,
        sessions,
        execution.operations,
        settings.max_unfinished,
        settings.max_operations,
        process_owner(),
        settings.lease,
    )


def _uploads(settings: Settings, on: Platform, numbers: Numbers) -> Uploads:
    return Uploads(
        Collection(on.store, UPLOADS, Upload),
        on.objects,
        numbers,
        settings.upload_quota_bytes,
        settings.max_upload_bytes,
    )


def _processes(settings: Settings, on: Platform) -> Processes:
    folder = settings.work_folder or on.settings.home / SERVICE
    return Processes(MEMORY_BYTES, TIME_LIMIT_S, IDLE_S, folder / "compiled")


@asynccontextmanager
async def _portal(settings: Settings) -> AsyncIterator[Portal | None]:
    if settings.portal_url is None:
        yield None
        return
    async with open_portal(str(settings.portal_url)) as portal:
        yield portal
