"""``flightline dead-letters``: messages that nobody could handle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flightline.session import PATIENCE, session
from shared.errors import InvalidInputError

if TYPE_CHECKING:
    from shared.messaging.dead_letters import DeadLetters, Selection
    from shared.messaging.port import DeadLetter
    from shared.settings import PlatformSettings

app = typer.Typer(
    no_args_is_help=True, help="Look at messages that nobody could handle; replay or discard them."
)

LetterId = Annotated[str | None, typer.Argument(metavar="[ID]", help="One letter, by its id.")]
QueueName = Annotated[str | None, typer.Option("--queue", help="Only of this queue.")]
Reason = Annotated[
    str | None, typer.Option(help="Only of this reason: permanent, unreadable, attempts_exhausted, bug.")
]
ErrorClass = Annotated[
    str | None, typer.Option("--error", help="Only with this class of error, such as TimeoutError.")
]
All = Annotated[bool, typer.Option("--all", help="Every letter that the other options leave.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]


@app.command("list")
def list_letters(
    queue: QueueName = None, reason: Reason = None, error: ErrorClass = None, *, as_json: AsJson = False
) -> None:
    """List dead letters, queue by queue, oldest first."""
    with session("dead-letters list", quiet_logs=True) as settings:
        count = asyncio.run(_list(settings, _selection(queue, None, error, reason), as_json=as_json))
        if not count and not as_json:
            typer.echo("no dead letters", err=True)


@app.command()
def show(letter_id: Annotated[str, typer.Argument(metavar="ID")], queue: QueueName = None) -> None:
    """Print one dead letter whole, as JSON: reason, trace, headers and original bytes."""
    with session("dead-letters show", quiet_logs=True) as settings:
        typer.echo(asyncio.run(_show(settings, letter_id, queue)))


@app.command()
def replay(
    letter_id: LetterId = None,
    queue: QueueName = None,
    reason: Reason = None,
    error: ErrorClass = None,
    *,
    everything: All = False,
    per_second: Annotated[float, typer.Option(min=0.1, help="No faster than this.")] = 50,
) -> None:
    """Put dead letters back into their queues, as if they had just arrived."""
    with session("dead-letters replay", quiet_logs=True) as settings:
        chosen = _selection(queue, letter_id, error, reason)
        _require_choice(chosen, everything=everything)
        typer.echo(f"replayed {asyncio.run(_replay(settings, chosen, per_second))}")


@app.command()
def discard(
    export: Annotated[Path, typer.Option(help="File that the letters are appended to before they go.")],
    letter_id: LetterId = None,
    queue: QueueName = None,
    reason: Reason = None,
    error: ErrorClass = None,
    *,
    everything: All = False,
) -> None:
    """Remove dead letters for ever, once they are in the export file."""
    with session("dead-letters discard", quiet_logs=True) as settings:
        chosen = _selection(queue, letter_id, error, reason)
        _require_choice(chosen, everything=everything)
        typer.echo(f"discarded {asyncio.run(_discard(settings, chosen, export))}, kept in {export}")


def _selection(queue: str | None, letter_id: str | None, error: str | None, reason: str | None) -> Selection:
    from shared.messaging.dead_letters import Selection  # noqa: PLC0415 - so that --help is quick

    return Selection(queue, letter_id, error, reason)


def _require_choice(chosen: Selection, *, everything: bool) -> None:
    from shared.messaging.dead_letters import EVERYTHING  # noqa: PLC0415

    if chosen == EVERYTHING and not everything:
        raise InvalidInputError("say which: an ID, --queue, --reason, --error, or --all", field="ID")


@asynccontextmanager
async def _opened(settings: PlatformSettings) -> AsyncIterator[DeadLetters]:
    from flightline.pipeline import SUBSCRIPTIONS  # noqa: PLC0415
    from shared.messaging.bus import open_bus  # noqa: PLC0415
    from shared.messaging.dead_letters import DeadLetters  # noqa: PLC0415
    from shared.messaging.port import Topology  # noqa: PLC0415

    topology = Topology(SUBSCRIPTIONS, settings.retry_ladder)
    async with open_bus(settings.bus, topology, service="flightline", start_within=PATIENCE) as bus:
        yield DeadLetters(bus.transport, topology)


async def _list(settings: PlatformSettings, chosen: Selection, *, as_json: bool) -> int:
    from shared.messaging.dead_letters import to_json  # noqa: PLC0415

    count = 0
    async with _opened(settings) as letters, aclosing(letters.list(chosen)) as found:
        async for letter in found:
            count += 1
            typer.echo(json.dumps(to_json(letter), default=str) if as_json else _line(letter))
    return count


async def _show(settings: PlatformSettings, letter_id: str, queue: str | None) -> str:
    from shared.messaging.dead_letters import to_json  # noqa: PLC0415

    async with _opened(settings) as letters:
        return json.dumps(to_json(await letters.show(letter_id, queue=queue)), indent=1, default=str)


async def _replay(settings: PlatformSettings, chosen: Selection, per_second: float) -> int:
    async with _opened(settings) as letters:
        return await letters.replay(chosen, per_second=per_second)


async def _discard(settings: PlatformSettings, chosen: Selection, export: Path) -> int:
    async with _opened(settings) as letters:
        return await letters.discard(chosen, export=export)


def _line(letter: DeadLetter) -> str:
    died = f"{letter.died_at:%Y-%m-%d %H:%M:%S}" if letter.died_at else "-"
    return f"{letter.id}  {letter.queue}  {died}  {letter.death.reason}  {letter.death.error[:120]}"
