"""Preferences of users, and discovery that nobody waits for: after a login, by schedule, when asked to."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from discovery.domain.logins import digest
from discovery.domain.notifications import Wishes
from discovery.domain.preferences import (
    Outcome,
    Plan,
    Preferences,
    after_login,
    discovered,
    not_discovered,
    preferring,
    triggered,
)
from discovery.tapis_flights import Created, Discovered, TapisFlights
from shared.due import NEVER_S
from shared.errors import PermanentError, TransientError
from shared.sources import LoginNeededError
from shared.state import Change, Collection, Document
from shared.state.work import WorkQueue, due_queue

log = structlog.get_logger()

SERVICE_ACCOUNT = ""
LEASE = timedelta(seconds=60)
AT_ONCE = 4
TRY_AGAIN = timedelta(minutes=5)
ERRORS_KEPT = 50


@dataclass(slots=True)
class Plans:
    """What owners want, by owner."""

    plans: Collection[Plan]
    wake: Callable[[], None] = lambda: None

    async def of(self, owner: str) -> Plan:
        """Return what an owner wants, or what one is taken to want who never said."""
        document = await self.plans.get(digest(owner))
        return document.body if document else Plan(owner=owner)

    async def wishes_of(self, owner: str) -> Wishes:
        """Return what an owner wants to hear of."""
        return (await self.of(owner)).preferences.wishes

    async def prefer(self, owner: str, preferences: Preferences) -> Plan:
        """Keep what an owner wants."""
        now = datetime.now(UTC)
        plan = await self._changed(owner, lambda plan: preferring(plan, preferences, now))
        self.wake()
        return plan

    async def note_login(self, owner: str) -> None:
        """Look for flights of a user who has just logged in, if that is wanted and the cooldown is over."""
        now = datetime.now(UTC)
        if after_login(await self.of(owner), now):
            await self._changed(owner, lambda plan: after_login(plan, now))
            self.wake()

    async def trigger(self, owner: str) -> Plan | None:
        """Look for an owner's flights now; None: the cooldown is not over."""
        now = datetime.now(UTC)
        if triggered(await self.of(owner), now) is None:
            return None
        plan = await self._changed(owner, lambda plan: triggered(plan, now))
        self.wake()
        return plan

    async def schedule_service_account(self) -> None:
        """Have flights looked for with the service account, from now on."""
        new = Plan(owner=SERVICE_ACCOUNT, due_s=time.time())
        document, is_new = await self.plans.ensure(digest(SERVICE_ACCOUNT), new)
        if not is_new and document.body.due_s >= NEVER_S:
            await self._changed(SERVICE_ACCOUNT, lambda plan: plan.model_copy(update={"due_s": time.time()}))

    async def _changed(self, owner: str, change: Callable[[Plan], Plan | None]) -> Plan:
        await self.plans.ensure(digest(owner), Plan(owner=owner))
        return (await self.plans.update(digest(owner), change)).body


@dataclass(frozen=True, slots=True)
class Discoverer:
    """Does what is due; any number of replicas may, each owner's is one's at a time."""

    plans: Collection[Plan]
    tapis: TapisFlights
    service_every: timedelta

    async def discover(self, document: Document[Plan]) -> None:
        """Look for an owner's flights and make projects of them."""
        lease = document.record.lease
        assert lease is not None
        plan = document.body
        try:
            found, done = await automatic(self.tapis, plan)
        except (PermanentError, TransientError) as error:
            change = self._not_done(plan, error)
        else:
            change = self._done(plan, found, done)
        await self.plans.update(document.id, lambda one: Change(change(one), release=True), owner=lease.owner)

    def _done(self, plan: Plan, found: Discovered, done: Created) -> Callable[[Plan], Plan]:
        errors = (*found.errors, *done.errors)
        log.info(
            "discovery.done",
            owner=plan.owner,
            systems=len(found.systems),
            flights=len(found.flights),
            projects=len(done.created),
            errors=len(errors),
        )
        outcome = Outcome(
            ended_at=datetime.now(UTC),
            systems_scanned=len(found.systems),
            flights_discovered=len(found.flights),
            projects_created=len(done.created),
            errors=errors[:ERRORS_KEPT],
        )
        every = self.service_every if plan.owner == SERVICE_ACCOUNT else None
        return lambda one: discovered(one, outcome, every)

    def _not_done(self, plan: Plan, error: Exception) -> Callable[[Plan], Plan]:
        log.warning("discovery.failed", owner=plan.owner, error=str(error))
        outcome = Outcome(ended_at=datetime.now(UTC), errors=(str(error),))
        is_over = isinstance(error, LoginNeededError) and plan.owner != SERVICE_ACCOUNT
        return lambda one: not_discovered(one, outcome, None if is_over else TRY_AGAIN)

    def queue(self, *, at_once: int = AT_ONCE, lease: timedelta = LEASE) -> WorkQueue[Plan]:
        """Return the queue of discoveries that are due."""
        return due_queue(self.plans, at_once=at_once, lease=lease)


async def automatic(tapis: TapisFlights, plan: Plan) -> tuple[Discovered, Created]:
    """Look for an owner's flights as the owner prefers, and make projects of them.

    Raises:
        LoginNeededError: The owner has to log in.
        TransientError: Tapis does not tell its systems.
    """
    wanted = plan.preferences
    if plan.owner != SERVICE_ACCOUNT:
        found = await tapis.discover(plan.owner, wanted.preferred_systems)
        return found, await tapis.create(plan.owner, found.flights, wanted.max_projects_per_discovery)
    found, done = Discovered(), Created()
    async with aclosing(tapis.discoveries(plan.owner, wanted.preferred_systems)) as looks:
        async for look in looks:  # there is no limit, so that no flight has to wait for others
            found.add(look)
            for flight in look.flights:
                await tapis.create_one(plan.owner, flight, done)
    found.sort()
    return found, done
