"""``flightline status``: one screen of what is going on."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flightline.session import session
from shared.exits import FAILED

if TYPE_CHECKING:
    from flightline.overview.model import Overview
    from shared.settings import PlatformSettings

CLEARED = "\x1b[H\x1b[2J"


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=1, help="Look again every so often, until Ctrl-C.")
    ] = None,
    services: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the services are, such as http://flightline-{service}:{port}; else where their"
            " settings have them listen.",
        ),
    ] = None,
) -> None:
    """Show what is amiss, which services answer, queues, dead letters, work in hand, and what failed.

    Takes nothing from anybody. What does not answer within five seconds is said, and the rest is shown.
    Exit code 1 if something is amiss.
    """
    with session("status", quiet_logs=True, as_json=as_json) as settings:
        is_amiss = asyncio.run(_shown(settings, services, watch, as_json=as_json))
        if is_amiss:
            sys.exit(FAILED)


async def _shown(
    settings: PlatformSettings, services: str | None, watch: float | None, *, as_json: bool
) -> bool:
    from flightline.overview.look import Looker  # noqa: PLC0415 - so that --help is quick
    from flightline.overview.model import amiss  # noqa: PLC0415
    from flightline.overview.screen import screen  # noqa: PLC0415
    from flightline.overview.services import addresses  # noqa: PLC0415

    looker = Looker(settings, addresses(services))
    while True:
        found = await looker.look()
        text = json.dumps(_document(found), indent=None if watch else 1) if as_json else screen(found)
        typer.echo(f"{CLEARED}{text}" if watch and sys.stdout.isatty() and not as_json else text)
        if watch is None:
            return bool(amiss(found))
        await asyncio.sleep(watch)


def _document(found: Overview) -> dict[str, Any]:
    from flightline.overview.model import amiss  # noqa: PLC0415 - so that --help is quick

    document = asdict(found)
    document["at"] = found.at.isoformat()
    document["queues"] = {queue.pop("name"): queue for queue in document["queues"]}
    document["failures"] = [{**each, "at": each["at"].isoformat()} for each in document["failures"]]
    return {"amiss": amiss(found), **document}
