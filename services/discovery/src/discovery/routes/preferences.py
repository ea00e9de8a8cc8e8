"""What a user prefers, and discovery that happens behind their back."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.status import HTTP_202_ACCEPTED, HTTP_429_TOO_MANY_REQUESTS

from discovery.domain.notifications import checked_address
from discovery.domain.preferences import Outcome, Plan, Preferences
from discovery.routes.answers import REFUSALS, DocumentedRoute
from discovery.routes.asking import OnTapis, Reader, User, WhatOwnersWant
from discovery.tapis_flights import checked_systems
from shared.errors import InvalidInputError
from shared.urls import checked_url

router = APIRouter(route_class=DocumentedRoute, tags=["preferences"], responses=REFUSALS)

NAMES = frozenset(Preferences.model_fields)


class PreferencesShown(Preferences):
    """What a user prefers, and how discovery went last."""

    last_auto_discovery: datetime | None = None
    can_run_discovery: bool = True
    last_outcome: Outcome | None = None


class PreferencesAnswer(BaseModel):
    """A user's preferences."""

    success: bool = True
    preferences: PreferencesShown


class Triggered(BaseModel):
    """A discovery has begun."""

    model_config = ConfigDict(frozen=True)

    success: bool = True
    message: str


@router.get("/api/tapis-preferences/", summary="What you prefer")
async def get_preferences(user: Reader, plans: WhatOwnersWant) -> PreferencesAnswer:
    """Return what is preferred, and when discovery ran by itself."""
    return _shown(await plans.of(user.owner))


@router.post("/api/tapis-preferences/", summary="Prefer something else; what is not named stays")
async def set_preferences(
    user: Reader, plans: WhatOwnersWant, tapis: OnTapis, wanted: Annotated[dict[str, Any], Body()]
) -> PreferencesAnswer:
    """Change the preferences that are named."""
    if unknown := sorted(set(wanted) - NAMES):
        raise InvalidInputError(f"there are no such preferences: {', '.join(unknown)[:200]}")
    preferences = _checked((await plans.of(user.owner)).preferences, wanted)
    checked_systems(preferences.preferred_systems, tapis.pattern)
    return _shown(await plans.prefer(user.owner, preferences))


@router.post(
    "/api/tapis-discovery/trigger/",
    status_code=HTTP_202_ACCEPTED,
    summary="Look for flights now, as you prefer, and make projects of them",
)
async def trigger(user: User, plans: WhatOwnersWant, _: OnTapis) -> Triggered:
    """Begin a discovery, unless the last one was a shorter while ago than preferred."""
    if await plans.trigger(user.owner) is None:
        ready_at = (await plans.of(user.owner)).ready_at() or datetime.now(UTC)
        wait_s = max(1, math.ceil((ready_at - datetime.now(UTC)).total_seconds()))
        raise HTTPException(
            HTTP_429_TOO_MANY_REQUESTS,
            f"The last discovery was too short a while ago; the next may begin at {ready_at:%Y-%m-%d %H:%M}"
            " UTC. Prefer a shorter discovery_cooldown_hours to have it earlier.",
            headers={"Retry-After": str(wait_s)},
        )
    return Triggered(message="Looking for flights has begun; GET /api/tapis-preferences/ tells how it went.")


def _checked(before: Preferences, wanted: dict[str, Any]) -> Preferences:
    try:
        preferences = Preferences.model_validate(before.model_dump() | wanted)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidInputError(f"{field}: {first['msg']}", field=field) from None
    if preferences.notify_email:
        checked_address(preferences.notify_email)
    if preferences.notify_webhook:
        checked_url(preferences.notify_webhook)
    return preferences


def _shown(plan: Plan) -> PreferencesAnswer:
    shown = PreferencesShown(
        **dict(plan.preferences),
        last_auto_discovery=plan.last_auto_discovery,
        can_run_discovery=plan.can_run(datetime.now(UTC)),
        last_outcome=plan.last_outcome,
    )
    return PreferencesAnswer(preferences=shown)
