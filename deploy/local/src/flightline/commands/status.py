"""``flightline status``: one screen of what is going on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from flightline.session import PATIENCE, session

if TYPE_CHECKING:
    from shared.settings import PlatformSettings


def status(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show flights by state, what waits in each queue, and dead letters."""
    with session("status", quiet_logs=True, as_json=as_json) as settings:
        found = asyncio.run(_status(settings))
        typer.echo(json.dumps(found, indent=1) if as_json else _text(found))


async def _status(settings: PlatformSettings) -> dict[str, dict[str, int]]:
    from discovery.collections import FLIGHTS  # noqa: PLC0415 - so that --help is quick
    from discovery.domain.flights import FlightState  # noqa: PLC0415
    from flightline.pipeline import SUBSCRIPTIONS  # noqa: PLC0415
    from shared.messaging.topology import dead_queue  # noqa: PLC0415
    from shared.platform import open_platform  # noqa: PLC0415

    async with open_platform(settings, SUBSCRIPTIONS, start_within=PATIENCE) as platform:
        await platform.store.declare(FLIGHTS)
        queues = [subscription.queue for subscription in SUBSCRIPTIONS]
        return {
            "flights": {
                state.value: await platform.store.count(FLIGHTS.name, {"state": state.value})
                for state in FlightState
            },
            "waiting": {queue: await platform.transport.depth(queue) for queue in queues},
            "dead_letters": {queue: await platform.transport.depth(dead_queue(queue)) for queue in queues},
        }


def _text(found: dict[str, dict[str, int]]) -> str:
    lines = []
    for title, counts in found.items():
        lines.append(title.replace("_", " "))
        lines += [f"  {name:<32} {count:>6}" for name, count in counts.items() if count or title == "waiting"]
    return "\n".join(lines)
