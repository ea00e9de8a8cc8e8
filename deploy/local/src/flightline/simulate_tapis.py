"""``flightline simulate tapis``: a Tapis on this machine, with the systems of a folder."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flightline.simulation.plan import FlightPlan
from shared.durations import parse_duration

if TYPE_CHECKING:
    from flightline.tapis_simulator import Tapis

_CALLBACK = "http://127.0.0.1:8001/api/oauth2/tapis/callback/"
_TEXT = """Tapis (simulated) at {url}
  tenant    {tenant}
  user      {username}, password {password}
  client    {client_id}, key {client_key}, callback {callback_url}
  systems   {names}
  faults    POST {url}/simulator/faults, counters GET {url}/simulator/calls

Paste into the terminal of Flightline:
{exports}

While `flightline up` runs there, {username} logs in at {login_url}
Ctrl-C ends it."""


def tapis(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="FOLDER/<system id>/<Flight>/code/images/*.jpg; two systems are made in an empty one,"
            " and in a temporary one if none is named.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0: any.")] = 8900,
    tenant: Annotated[str, typer.Option(help="Id of the tenant.")] = "portals",
    user: Annotated[str, typer.Option(help="Who owns the systems and can log in.")] = "demo",
    password: Annotated[str, typer.Option(help="The user's password.")] = "demo",  # noqa: S107 - of a simulator
    callback_url: Annotated[str, typer.Option(help="Where logins in a browser go back to.")] = _CALLBACK,
    token_ttl: Annotated[
        str, typer.Option(help="How long an access token is good, such as 4h or 30s.")
    ] = "4h",  # noqa: S107 - a duration
    refresh_ttl: Annotated[str, typer.Option(help="How long a refresh token is good.")] = "365d",
    latency: Annotated[str, typer.Option(help="Every answer is so late, such as 50ms.")] = "0ms",
    max_sessions: Annotated[
        int | None, typer.Option(min=1, help="Requests for files that a system bears at a time.")
    ] = None,
    photos: Annotated[int, typer.Option(min=1, help="Photos of the flight that is made.")] = 12,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what there is as one line of JSON.")] = False,
) -> None:
    """Be a Tapis with logins, systems and files, on loopback, until Ctrl-C."""
    from flightline.tapis_simulator import Pace, Tapis  # noqa: PLC0415 - so that --help is quick

    try:
        simulated = Tapis(
            tenant,
            access_ttl_s=_seconds(token_ttl),
            refresh_ttl_s=_seconds(refresh_ttl),
            pace=Pace(latency_s=_seconds(latency)),
        )
        check_free(port)
        with _place(folder) as place:
            _fill(simulated, place, user, FlightPlan(photos=photos), max_sessions)
            simulated.accounts.add_user(user, password)
            simulated.accounts.add_client(
                user, client_id="flightline", client_key="flightline-key", callback_url=callback_url
            )
            _run(_serve(simulated, port, as_json=as_json))
    except (ValueError, OSError) as error:
        typer.echo(f"flightline simulate tapis: {error}", err=True)
        raise typer.Exit(2) from error


def _run(serving: Coroutine[Any, Any, None]) -> None:
    from shared.service.serving import new_event_loop  # noqa: PLC0415 - so that --help is quick

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serving)


def check_free(port: int) -> None:
    """Refuse a port that somebody listens on, before photos are taken in vain."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise OSError(
                f"port {port}: address already in use; end what listens there, or name another --port"
            ) from error


def _seconds(text: str) -> float:
    return parse_duration(text).total_seconds()


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="flightline-tapis-") as temporary:
        yield Path(temporary)


def _fill(simulated: Tapis, place: Path, user: str, plan: FlightPlan, max_sessions: int | None) -> None:
    from flightline.tapis_simulator.folders import add_systems, is_empty, make_demo  # noqa: PLC0415

    if is_empty(place):
        typer.echo(f"Taking {plan.photos} photos of a made-up flight", err=True)
        make_demo(place, plan)
    add_systems(simulated, place, user)
    for system in simulated.systems.values():
        system.max_sessions = max_sessions


async def _serve(simulated: Tapis, port: int, *, as_json: bool) -> None:
    from flightline.tapis_simulator import serving  # noqa: PLC0415
    from shared.service.serving import stop_signals  # noqa: PLC0415

    with stop_signals() as stop:
        async with serving(simulated, port):
            facts = _facts(simulated)
            typer.echo(json.dumps(facts) if as_json else _text(facts))
            await stop.wait()


def _facts(simulated: Tapis) -> dict[str, Any]:
    ((user, password),) = simulated.accounts.passwords.items()
    (client,) = simulated.accounts.clients.values()
    return {
        "url": simulated.base_url,
        "tenant": simulated.tenant,
        "username": user,
        "password": password,
        "client_id": client.client_id,
        "client_key": client.client_key,
        "callback_url": client.callback_url,
        "login_url": f"{client.callback_url.removesuffix('callback/')}authorize/{client.client_id}/",
        "systems": list(simulated.systems),
        "environment": {
            "FLIGHTLINE_TAPIS_URL": simulated.base_url,
            "FLIGHTLINE_TAPIS_TENANT": simulated.tenant,
            "FLIGHTLINE_TAPIS_CLIENT_ID": client.client_id,
            "FLIGHTLINE_TAPIS_CLIENT_KEY": client.client_key,
        },
    }


def _text(facts: dict[str, Any]) -> str:
    exports = "\n".join(f"export {name}={value}" for name, value in facts["environment"].items())
    return _TEXT.format(**facts, names=", ".join(facts["systems"]), exports=exports)
