"""``flightline up``: all services in one process, each with its HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from flightline.session import session

if TYPE_CHECKING:
    from flightline.pipeline import Part
    from shared.settings import PlatformSettings


def up(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run only this service; repeatable.")
    ] = None,
) -> None:
    """Run the services until Ctrl-C.

    Without other settings they listen on 127.0.0.1: discovery on 8001, ingest on 8002, scaler on 8003,
    mover on 8004, datalab on 8006, odm-gateway on 31100.
    """
    with session("up") as settings:
        from shared.service.serving import new_event_loop  # noqa: PLC0415 - so that --help is quick

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_up(settings, only or []))


async def _up(settings: PlatformSettings, only: list[str]) -> None:
    from flightline.applications import CREATE_APP  # noqa: PLC0415 - so that --help is quick
    from flightline.pipeline import SUBSCRIPTIONS, parts  # noqa: PLC0415
    from shared.platform import open_platform  # noqa: PLC0415
    from shared.service.serving import serving, stop_signals  # noqa: PLC0415
    from shared.settings import load  # noqa: PLC0415

    chosen = parts(only)
    settings = _asking_ours(settings, chosen)
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        platform = await stack.enter_async_context(open_platform(settings, SUBSCRIPTIONS))
        for name, part in chosen.items():
            own = load(part.settings)
            url = await stack.enter_async_context(serving(CREATE_APP[name](own, platform), own))
            typer.echo(f"{name}: {url}", err=True)
        await stop.wait()


def _asking_ours(settings: PlatformSettings, chosen: Mapping[str, Part]) -> PlatformSettings:
    """Have the services of this process ask its own discovery, wherever it listens, unless told otherwise."""
    from shared.settings import load  # noqa: PLC0415 - so that --help is quick

    if "discovery" not in chosen or "discovery_url" in settings.model_fields_set:
        return settings
    port = load(chosen["discovery"].settings).port
    return settings.model_copy(update={"discovery_url": f"http://127.0.0.1:{port}"})
