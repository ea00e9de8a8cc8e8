"""What a user wants discovery to do by itself, and to be told of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from discovery.domain.flights import Frozen
from discovery.domain.notifications import Occasion, Wishes
from shared.due import NEVER_S

SYSTEMS_AT_MOST = 1000

SystemName = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9._~-]+$")]


class Preferences(Frozen):
    """What a user wants."""

    auto_discover_on_login: bool = False
    auto_discover_on_schedule: bool = False
    """Whether flights are looked for whenever the cooldown is over, for as long as the login lives."""
    max_projects_per_discovery: Annotated[int, Field(ge=1, le=10_000)] = 50
    discovery_cooldown_hours: Annotated[int, Field(ge=0, le=8760)] = 24
    notify_on_discovery: bool = False
    notify_on_staging: bool = False
    notify_on_completion: bool = False
    notify_on_errors: bool = False
    notify_email: Annotated[str, Field(max_length=254)] = ""
    notify_webhook: Annotated[str, Field(max_length=2000, repr=False)] = ""
    preferred_systems: Annotated[tuple[SystemName, ...], Field(max_length=SYSTEMS_AT_MOST)] = ()

    @property
    def cooldown(self) -> timedelta:
        """Return how long to wait between two discoveries."""
        return timedelta(hours=self.discovery_cooldown_hours)

    @property
    def wishes(self) -> Wishes:
        """Return what the user wants to hear of, and how."""
        wanted = {
            Occasion.FOUND: self.notify_on_discovery,
            Occasion.STAGED: self.notify_on_staging,
            Occasion.COMPLETED: self.notify_on_completion,
            Occasion.FAILED: self.notify_on_errors,
        }
        occasions = frozenset(occasion for occasion, is_wanted in wanted.items() if is_wanted)
        return Wishes(email=self.notify_email, webhook=self.notify_webhook, occasions=occasions)


class Outcome(Frozen):
    """How a discovery that nobody waited for ended."""

    ended_at: AwareDatetime
    systems_scanned: int = 0
    flights_discovered: int = 0
    projects_created: int = 0
    errors: tuple[str, ...] = ()


class Plan(Frozen):
    """One owner's preferences, and when flights are looked for by themselves."""

    owner: str
    """Empty: the service account."""
    preferences: Preferences = Preferences()
    last_auto_discovery: AwareDatetime | None = None
    """When one ended that could look."""
    last_outcome: Outcome | None = None
    due_s: float = NEVER_S

    def ready_at(self) -> datetime | None:
        """Return when the cooldown is over; None: there was no discovery yet."""
        last = self.last_auto_discovery
        return last + self.preferences.cooldown if last else None

    def can_run(self, now: datetime) -> bool:
        """Return whether the cooldown is over."""
        ready_at = self.ready_at()
        return ready_at is None or now >= ready_at


def after_login(plan: Plan, now: datetime) -> Plan | None:
    """Return the plan once its user has logged in; None: nothing follows from that."""
    wanted = plan.preferences
    if not (wanted.auto_discover_on_login or wanted.auto_discover_on_schedule) or not plan.can_run(now):
        return None
    return plan.model_copy(update={"due_s": now.timestamp()})


def triggered(plan: Plan, now: datetime) -> Plan | None:
    """Return the plan with a discovery to be done now; None: the cooldown is not over."""
    return plan.model_copy(update={"due_s": now.timestamp()}) if plan.can_run(now) else None


def preferring(plan: Plan, preferences: Preferences, now: datetime) -> Plan:
    """Return the plan with other preferences."""
    changed = plan.model_copy(update={"preferences": preferences})
    if not preferences.auto_discover_on_schedule:
        # One that was asked for, or that a login has begun, is still done.
        due_s = plan.due_s if plan.due_s <= now.timestamp() else NEVER_S
        return changed.model_copy(update={"due_s": due_s})
    ready_at = changed.ready_at() or now
    return changed.model_copy(update={"due_s": max(ready_at, now).timestamp()})


def discovered(plan: Plan, outcome: Outcome, every: timedelta | None = None) -> Plan:
    """Return the plan after a discovery that could look; ``every`` is when the service account's is due."""
    wait = every or plan.preferences.cooldown
    is_again = every is not None or plan.preferences.auto_discover_on_schedule
    due_s = (outcome.ended_at + max(wait, timedelta(minutes=1))).timestamp() if is_again else NEVER_S
    return plan.model_copy(
        update={"last_outcome": outcome, "last_auto_discovery": outcome.ended_at, "due_s": due_s}
    )


def not_discovered(plan: Plan, outcome: Outcome, again_in: timedelta | None) -> Plan:
    """Return the plan after a discovery that could not look: the cooldown does not begin."""
    due_s = (outcome.ended_at + again_in).timestamp() if again_in else NEVER_S
    return plan.model_copy(update={"last_outcome": outcome, "due_s": due_s})
