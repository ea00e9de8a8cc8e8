"""``flightline events``: watch the bus, publish to it, print the contract."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flightline.session import PATIENCE, session

if TYPE_CHECKING:
    from shared.messaging.port import Message
    from shared.settings import PlatformSettings

app = typer.Typer(no_args_is_help=True, help="Watch events, publish one, print their schemas.")

EVENT_AT_MOST_BYTES = 1 << 20


@app.command()
def tail(
    *,
    progress: Annotated[bool, typer.Option("--progress", help="Show progress messages too.")] = False,
) -> None:
    """Print every event that is published from now on, one JSON document per line, until Ctrl-C."""
    with session("events tail", quiet_logs=True) as settings:
        asyncio.run(_tail(settings, progress=progress))


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(help="A CloudEvent as JSON; - is standard input.")],
    unchecked: Annotated[
        str | None,
        typer.Option("--as", metavar="TYPE", help="Publish it as it is, whatever it is, as of this type."),
    ] = None,
) -> None:
    """Publish one event; it is checked first, and on disk when the command returns."""
    with session("events publish", quiet_logs=True) as settings:
        body = _read(file)
        message = _checked(body) if unchecked is None else _message(body, unchecked, "")
        typer.echo(asyncio.run(_publish(settings, message)))


@app.command()
def schema(
    event_type: Annotated[str | None, typer.Argument(help="Such as flight-found; none: all of them.")] = None,
) -> None:
    """Print the JSON Schema of an event."""
    with session("events schema"):
        from shared.errors import InvalidInputError  # noqa: PLC0415 - so that --help is quick
        from shared.events.schemas import schemas  # noqa: PLC0415

        known = schemas()
        if event_type is not None and event_type not in known:
            raise InvalidInputError(f"there is no event {event_type!r}: {', '.join(known)}", field="TYPE")
        typer.echo(json.dumps(known[event_type] if event_type else known, indent=2))


def _read(file: Path) -> bytes:
    from shared.errors import InvalidInputError  # noqa: PLC0415

    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
            body = stream.read(EVENT_AT_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInputError(f"{file}: {error.strerror}", field="FILE", value=str(file)) from error
    if len(body) > EVENT_AT_MOST_BYTES:
        raise InvalidInputError(f"{file} is larger than {EVENT_AT_MOST_BYTES} bytes", field="FILE")
    return body


def _checked(body: bytes) -> Message:
    from shared.errors import InvalidInputError  # noqa: PLC0415
    from shared.events import EVENT_TYPES  # noqa: PLC0415
    from shared.messaging.codec import decode, encode, event_type  # noqa: PLC0415

    message = _message(body, "", "")
    named = event_type(message)
    known = {kind.type: kind for kind in EVENT_TYPES}
    if named not in known:
        raise InvalidInputError(
            f"type {named!r}: expected one of {', '.join(known)}", field="type", value=named
        )
    return encode(decode(message, known[named]))


def _message(body: bytes, event_type: str, event_id: str) -> Message:
    from shared.messaging.codec import STRUCTURED_TYPE  # noqa: PLC0415
    from shared.messaging.port import Message  # noqa: PLC0415

    return Message(body, event_type, event_id, content_type=STRUCTURED_TYPE)


async def _publish(settings: PlatformSettings, message: Message) -> str:
    from flightline.pipeline import SUBSCRIPTIONS  # noqa: PLC0415
    from shared.messaging.bus import open_bus  # noqa: PLC0415
    from shared.messaging.port import UNROUTED_QUEUE, Topology, UnroutableError  # noqa: PLC0415

    topology = Topology(SUBSCRIPTIONS, settings.retry_ladder)
    async with open_bus(settings.bus, topology, service="flightline", start_within=PATIENCE) as bus:
        try:
            await bus.transport.publish(message)
        except UnroutableError as error:
            raise UnroutableError(f"{error}; it is kept in {UNROUTED_QUEUE}") from error
    return f"published {message.routing_key} {message.event_id}".rstrip()


async def _tail(settings: PlatformSettings, *, progress: bool) -> None:
    from flightline.pipeline import SUBSCRIPTIONS  # noqa: PLC0415
    from shared.messaging.bus import open_bus  # noqa: PLC0415
    from shared.messaging.port import Topology, Transport  # noqa: PLC0415

    async def print_events(transport: Transport) -> None:
        async with transport.tail() as messages:
            async for message in messages:
                typer.echo(message.body)

    async def print_progress(transport: Transport) -> None:
        async with transport.hear() as heard:
            async for body in heard:
                typer.echo(body)

    topology = Topology(SUBSCRIPTIONS, settings.retry_ladder)
    async with (
        open_bus(settings.bus, topology, service="flightline", start_within=PATIENCE) as bus,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(print_events(bus.transport))
        if progress:
            tasks.create_task(print_progress(bus.transport))
