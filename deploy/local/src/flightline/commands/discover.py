"""``flightline discover``: look for a user's flights on Tapis and make projects of them."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flightline.session import session
from shared.errors import InvalidInputError
from shared.exits import FAILED, IN_PART, LOG_IN

if TYPE_CHECKING:
    from discovery.domain.preferences import Plan
    from discovery.domain.projects import Project
    from discovery.plans import Plans
    from discovery.tapis_access import TapisAccess
    from discovery.tapis_flights import Created, Discovered, FoundFlight, TapisFlights
    from shared.settings import PlatformSettings


@dataclass
class Report:
    """What a discovery came to."""

    user: str
    dry_run: bool
    systems_scanned: list[str] = field(default_factory=list)
    flights_discovered: int = 0
    created: list[dict[str, Any]] = field(default_factory=list)
    """With a dry run: what would be created."""
    not_created: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """Return what scripts are told."""
        if not self.errors:
            return 0
        return IN_PART if self.systems_scanned else FAILED

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "user": self.user,
            "dry_run": self.dry_run,
            "systems_scanned": self.systems_scanned,
            "flights_discovered": self.flights_discovered,
            "would_create" if self.dry_run else "created_projects": self.created,
            "not_created": self.not_created,
            "errors": self.errors,
            "exit_code": self.exit_code,
        }


def discover(
    user: Annotated[
        str, typer.Option("--user", metavar="NAME", help="Whose flights: a user who has logged in to Tapis.")
    ],
    client_id: Annotated[
        str | None,
        typer.Option("--client-id", help="The OAuth2 client; as there is one, only checked."),
    ] = None,
    systems: Annotated[
        list[str] | None,
        typer.Option("--systems", metavar="A B …", help="Only these systems; else the preferred ones."),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be created, and why not, and change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for flights on a user's Tapis systems and make a project of each.

    Exit codes: 0 done, 1 failed, 2 bad input, 3 done but for what is told as errors, 75 try again later, 77
    log in to Tapis first.
    """
    with session("discover", quiet_logs=True, as_json=as_json) as settings:
        named = _systems(systems, more)
        report = _reported(settings, user, client_id, named, dry_run=dry_run, as_json=as_json)
        typer.echo(json.dumps(report.document(), indent=1) if as_json else as_text(report))
        for error in report.errors:
            typer.echo(f"flightline discover: {error}", err=True)
        sys.exit(report.exit_code)


def _reported(
    settings: PlatformSettings,
    user: str,
    client_id: str | None,
    named: list[str],
    *,
    dry_run: bool,
    as_json: bool,
) -> Report:
    from shared.sources import LoginNeededError  # noqa: PLC0415 - so that --help is quick

    _check(settings, user, client_id)
    search = _dry if dry_run else _done
    try:
        return asyncio.run(search(settings, user, named))
    except* LoginNeededError as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if as_json:
            typer.echo(json.dumps({"status": "failed", "error": str(error), "exit_code": LOG_IN}))
        typer.echo(f"flightline discover: {error}", err=True)
    sys.exit(LOG_IN)


def _systems(systems: list[str] | None, more: list[str] | None) -> list[str]:
    """Return the systems of ``--systems A B``, of which the second is an argument to the parser."""
    if more and not systems:
        raise InvalidInputError(f"{more[0]}: write --systems before the names of systems", field="--systems")
    return [*(systems or ()), *(more or ())]


def _check(settings: PlatformSettings, user: str, client_id: str | None) -> None:
    if settings.tapis_url is None:
        raise InvalidInputError(
            "no Tapis tenant is known: set FLIGHTLINE_TAPIS_URL and FLIGHTLINE_TAPIS_TENANT"
        )
    name, _, tenant = user.partition("@")
    if not name or tenant not in ("", settings.tapis_tenant):
        raise InvalidInputError(
            f"--user {user}: expected a user of the tenant {settings.tapis_tenant}",
            field="--user",
            value=user,
        )
    if client_id not in (None, settings.tapis_client_id):
        known = settings.tapis_client_id or "none: set FLIGHTLINE_TAPIS_CLIENT_ID"
        raise InvalidInputError(
            f"--client-id {client_id}: the client is {known}", field="--client-id", value=client_id
        )


async def _owner(settings: PlatformSettings, tapis: TapisAccess, user: str) -> str:
    """Return the owner of a user's flights: nobody in particular for the service account."""
    owner = user if "@" in user else f"{user}@{settings.tapis_tenant}"
    is_account = user.partition("@")[0] == settings.tapis_username
    return "" if is_account and await tapis.logins.known(owner) is None else owner


async def _plan(plans: Plans, owner: str, systems: list[str]) -> Plan:
    plan = await plans.of(owner)
    if not systems:
        return plan
    named = plan.preferences.model_copy(update={"preferred_systems": tuple(systems)})
    return plan.model_copy(update={"preferences": named})


async def _done(settings: PlatformSettings, user: str, systems: list[str]) -> Report:
    from discovery.plans import automatic  # noqa: PLC0415 - so that --help is quick
    from flightline.pipeline import ONLY_WHAT_IS_NAMED, PARTS, running_pipeline  # noqa: PLC0415

    services = {"discovery": PARTS["discovery"]}
    async with running_pipeline(settings, ONLY_WHAT_IS_NAMED, services) as pipeline:
        state = pipeline.states["discovery"]
        tapis: TapisAccess = state["tapis"]
        owner = await _owner(settings, tapis, user)
        found, done = await automatic(tapis.flights, await _plan(state["plans"], owner, systems))
        return _created(user, found, done)


def _created(user: str, found: Discovered, done: Created) -> Report:
    report = Report(user, dry_run=False, systems_scanned=found.systems, errors=[*found.errors, *done.errors])
    report.flights_discovered = len(found.flights)
    for project, flight in done.created:
        count = flight.listing.image_count if flight.listing else 0
        report.created.append(
            {
                "project_id": project.project_id,
                "project_name": project.name,
                "flight_name": flight.name,
                "system_id": flight.system_id,
                "images_path": flight.images_path,
                "image_count": count,
            }
        )
    for project, flight in done.existing:
        place = {"flight_name": flight.name, "system_id": flight.system_id, "images_path": flight.images_path}
        report.not_created.append(place | {"reason": _reason(project)})
    report.not_created += [_place(one) | {"reason": _OVER} for one in done.left_out]
    return report


async def _dry(settings: PlatformSettings, user: str, systems: list[str]) -> Report:
    from discovery.config import Settings  # noqa: PLC0415 - so that --help is quick
    from discovery.opening import opened_search  # noqa: PLC0415
    from flightline.session import PATIENCE  # noqa: PLC0415
    from shared.platform import open_platform  # noqa: PLC0415
    from shared.settings import load  # noqa: PLC0415

    async with (
        open_platform(settings, (), start_within=PATIENCE) as on,
        opened_search(load(Settings), on) as (tapis, plans),
    ):
        owner = await _owner(settings, tapis, user)
        plan = await _plan(plans, owner, systems)
        found = await tapis.flights.discover(owner, plan.preferences.preferred_systems)
        return await _foreseen(tapis.flights, plan, user, found)


async def _foreseen(tapis: TapisFlights, plan: Plan, user: str, found: Discovered) -> Report:
    report = Report(user, dry_run=True, systems_scanned=found.systems, errors=found.errors)
    report.flights_discovered = len(found.flights)
    at_most = plan.preferences.max_projects_per_discovery if plan.owner else len(found.flights)
    for one in found.flights:
        project = await tapis.project_of(plan.owner, one)
        place = _place(one)
        if project is not None:
            report.not_created.append(place | {"reason": _reason(project)})
        elif len(report.created) >= at_most:
            report.not_created.append(place | {"reason": _OVER})
        else:
            name = {"project_name": f"{one.name} ({one.source.system_id})"}
            report.created.append(name | place | {"image_count": len(one.files.images)})
    return report


_OVER = "next time: max_projects_per_discovery is reached"


def _place(one: FoundFlight) -> dict[str, Any]:
    return {
        "flight_name": one.name,
        "system_id": one.source.system_id,
        "images_path": one.files.images_path,
    }


def _reason(project: Project) -> str:
    if project.state.value == "deleted":
        return "its project was deleted"
    number = "a project" if project.project_id is None else f"project {project.project_id}"
    return f"it has {number} already"


def as_text(report: Report) -> str:
    """Return the report for people."""
    would = "would be " if report.dry_run else ""
    counts = [
        f"{_counted(len(report.systems_scanned), 'system')} looked at",
        f"{_counted(report.flights_discovered, 'flight')} found",
        f"{_counted(len(report.created), 'project')} {would}created",
    ]
    lines = [", ".join(counts)]
    lines += [
        f"{would}created: {one['project_name']}, {_counted(one['image_count'], 'image')} in"
        f" {one['images_path']}"
        for one in report.created
    ]
    lines += [
        f"not created: {one['flight_name']} ({one['system_id']}): {one['reason']}"
        for one in report.not_created
    ]
    return "\n".join(lines)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def main() -> None:
    """Run the command under the name that it had where it comes from."""
    typer.run(discover)
