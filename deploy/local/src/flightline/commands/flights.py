"""``flightline flights``: what is known of the flights."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from flightline.printable import printable
from flightline.session import session

if TYPE_CHECKING:
    from discovery.domain.flights import Flight
    from shared.settings import PlatformSettings


def flights(
    state: Annotated[str | None, typer.Option(help="Only flights in this state, such as failed.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, newest first.")] = 50,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the flights, newest first."""
    with session("flights", quiet_logs=True, as_json=as_json) as settings:
        found = asyncio.run(_found(settings, state, limit))
        if as_json:
            typer.echo(json.dumps([flight.model_dump(mode="json") for flight in found], indent=1))
            return
        for flight in found:
            typer.echo(_line(flight))
        if not found:
            typer.echo("no flights" + (f" that are {state}" if state else ""), err=True)


async def _found(settings: PlatformSettings, state: str | None, limit: int) -> list[Flight]:
    from discovery.collections import FLIGHTS  # noqa: PLC0415 - so that --help is quick
    from discovery.domain.flights import Flight, FlightState  # noqa: PLC0415
    from shared.errors import InvalidInputError  # noqa: PLC0415
    from shared.state import Collection, Order  # noqa: PLC0415
    from shared.state.open import open_store  # noqa: PLC0415

    if state is not None and state not in set(FlightState):
        raise InvalidInputError(
            f"--state {state}: one of {', '.join(FlightState)}", field="--state", value=state
        )
    async with open_store(settings.state) as store:
        await store.declare(FLIGHTS)
        kept = Collection(store, FLIGHTS, Flight)
        where = {"state": state} if state else {}
        page = await kept.find(where, order=Order("updated_at", descending=True), limit=limit)
        return [document.body for document in page.items]


def _line(flight: Flight) -> str:
    run = flight.run
    about = (run.error or f"{run.image_count} images") if run else ""
    when = f"{flight.updated_at:%Y-%m-%d %H:%M}"
    return printable(f"{flight.flight_id}  {flight.state.value:<10}  {when}  {flight.name}  {about}")
