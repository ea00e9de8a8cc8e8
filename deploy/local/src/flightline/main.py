"""The ``flightline`` command."""

from __future__ import annotations

import typer

from flightline import simulate
from flightline.commands import dead_letters, doctor, events, flights, status
from flightline.commands.backup import backup, restore, retell
from flightline.commands.discover import discover
from flightline.commands.move import move
from flightline.commands.run import run as run_command
from flightline.commands.scale import scale
from flightline.commands.sync import sync
from flightline.commands.up import up

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Drone flights become orthophotos. Exit codes: 0 done, 1 failed, 2 bad input, 75 try again later.",
)
app.command(name="run")(run_command)
app.command(name="up")(up)
app.command(name="discover")(discover)
app.command(name="sync")(sync)
app.command(name="scale")(scale)
app.command(name="move")(move)
app.command(name="flights")(flights.flights)
app.command(name="status")(status.status)
app.command(name="doctor")(doctor.doctor)
app.command(name="backup")(backup)
app.command(name="restore")(restore)
app.command(name="retell")(retell)
app.add_typer(events.app, name="events")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(simulate.app, name="simulate")
