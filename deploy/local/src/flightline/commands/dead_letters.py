"""``flightline dead-letters``: messages that nobody could handle."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import UTC, datetime
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
    no_args_is_help=True,
    help="Look at messages that nobody could handle; replay them, keep them in a file, discard them.",
)

TOLD_EVERY = 500

LetterId = Annotated[str | None, typer.Argument(metavar="[ID]", help="One letter, by its id.")]
QueueName = Annotated[
    str | None,
    typer.Option(
        "--queue", help="Only of this queue; flightline.unrouted, of no service, has what nobody listens to."
    ),
]
Reason = Annotated[
    str | None,
    typer.Option(
        help="Only of this reason: permanent, unreadable, attempts_exhausted, bug, delivery_limit, unrouted."
    ),
]
ErrorClass = Annotated[
    str | None, typer.Option("--error", help="Only with this class of error, such as TimeoutError.")
]
EventType = Annotated[str | None, typer.Option("--type", help="Only events of this type.")]
Since = Annotated[str | None, typer.Option(help="Only those that died in this time up to now, such as 2h.")]
All = Annotated[bool, typer.Option("--all", help="Every letter that the other options leave.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]


@app.command("list")
def list_letters(
    queue: QueueName = None,
    reason: Reason = None,
    error: ErrorClass = None,
    event_type: EventType = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = 50,
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Only those listed behind this one.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List dead letters, queue by queue, oldest first."""
    with session("dead-letters list", quiet_logs=True) as settings:
        chosen = _selection(queue, None, error, reason, event_type, since)
        asyncio.run(_list(settings, chosen, limit, after, as_json=as_json))


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID")],
    queue: QueueName = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the body as it came.")] = False,
) -> None:
    """Print one dead letter whole: reason, error, trace, headers and the event."""
    with session("dead-letters show", quiet_logs=True) as settings:
        typer.echo(asyncio.run(_show(settings, letter_id, queue, as_json=as_json)))


@app.command()
def replay(
    letter_id: LetterId = None,
    queue: QueueName = None,
    reason: Reason = None,
    error: ErrorClass = None,
    event_type: EventType = None,
    since: Since = None,
    *,
    everything: All = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be replayed.")] = False,
    per_second: Annotated[float, typer.Option(min=0.1, help="No faster than this.")] = 50,
) -> None:
    """Put dead letters back into their queues, as if they had just arrived; ids and traces stay.

    Those of flightline.unrouted go to whoever listens by now; what nobody listens to stays.
    Replaying what was handled after all changes nothing.
    """
    with session("dead-letters replay", quiet_logs=True) as settings:
        chosen = _selection(queue, letter_id, error, reason, event_type, since)
        _require_choice(chosen, everything=everything)
        if dry_run:
            asyncio.run(_list(settings, chosen, 0, None, as_json=False))
        else:
            typer.echo(f"replayed {asyncio.run(_replay(settings, chosen, per_second))}")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Gets one JSON object per line, after what is in it.")],
    letter_id: LetterId = None,
    queue: QueueName = None,
    reason: Reason = None,
    error: ErrorClass = None,
    event_type: EventType = None,
    since: Since = None,
) -> None:
    """Append dead letters to a file, and leave them where they are."""
    with session("dead-letters export", quiet_logs=True) as settings:
        chosen = _selection(queue, letter_id, error, reason, event_type, since)
        typer.echo(f"exported {asyncio.run(_export(settings, chosen, file))} to {file}")


@app.command("import")
def import_letters(
    file: Annotated[Path, typer.Argument(help="What export or discard wrote.")],
) -> None:
    """Put letters of a file back among the dead ones, but for those that are there already."""
    with session("dead-letters import", quiet_logs=True) as settings:
        typer.echo(f"imported {asyncio.run(_import(settings, file))} from {file}; replay them next")


@app.command()
def discard(
    export: Annotated[Path, typer.Option(help="File that the letters are appended to before they go.")],
    letter_id: LetterId = None,
    queue: QueueName = None,
    reason: Reason = None,
    error: ErrorClass = None,
    event_type: EventType = None,
    since: Since = None,
    *,
    everything: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove dead letters, once they are in the export file; import puts them back."""
    with session("dead-letters discard", quiet_logs=True) as settings:
        chosen = _selection(queue, letter_id, error, reason, event_type, since)
        _require_choice(chosen, everything=everything)
        if yes or _confirmed(asyncio.run(_count(settings, chosen))):
            typer.echo(f"discarded {asyncio.run(_discard(settings, chosen, export))}, kept in {export}")


def _selection(
    queue: str | None,
    letter_id: str | None,
    error: str | None,
    reason: str | None,
    event_type: str | None,
    since: str | None,
) -> Selection:
    from shared.durations import parse_duration  # noqa: PLC0415 - so that --help is quick
    from shared.messaging.dead_letters import Selection  # noqa: PLC0415

    try:
        died_since = datetime.now(UTC) - parse_duration(since) if since else None
    except (ValueError, OverflowError) as wrong:
        raise InvalidInputError(f"--since {since}: {wrong}", field="--since", value=since) from wrong
    return Selection(queue, letter_id, error, reason, event_type, died_since)


def _require_choice(chosen: Selection, *, everything: bool) -> None:
    from shared.messaging.dead_letters import EVERYTHING  # noqa: PLC0415

    if chosen == EVERYTHING and not everything:
        raise InvalidInputError(
            "say which: an ID, --queue, --type, --reason, --error, --since, or --all", field="ID"
        )


def _confirmed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise InvalidInputError(f"{count} would go, and there is nobody to ask: add --yes", field="--yes")
    return typer.confirm(f"discard {count} dead letters?", err=True)


@asynccontextmanager
async def _opened(settings: PlatformSettings) -> AsyncIterator[DeadLetters]:
    from flightline.pipeline import SUBSCRIPTIONS  # noqa: PLC0415
    from shared.messaging.bus import open_bus  # noqa: PLC0415
    from shared.messaging.dead_letters import DeadLetters  # noqa: PLC0415
    from shared.messaging.port import Topology  # noqa: PLC0415

    topology = Topology(SUBSCRIPTIONS, settings.retry_ladder)
    async with open_bus(settings.bus, topology, service="flightline", start_within=PATIENCE) as bus:
        yield DeadLetters(bus.transport, topology)


async def _list(
    settings: PlatformSettings, chosen: Selection, limit: int, after: str | None, *, as_json: bool
) -> None:
    from flightline.letter_text import HEAD  # noqa: PLC0415

    last: str | None = None
    count, begun = 0, after is None
    async with _opened(settings) as letters, aclosing(letters.list(chosen)) as found:
        async for letter in found:
            if not begun:
                begun = letter.id == after
                continue
            if limit and count == limit:
                typer.echo(f"there are more: --after {last}, or --limit 0 for all", err=True)
                return
            if not count and not as_json:
                typer.echo(HEAD)
            _print(letter, as_json=as_json)
            count, last = count + 1, letter.id
    if not count and not as_json:
        typer.echo("no dead letters", err=True)


def _print(letter: DeadLetter, *, as_json: bool) -> None:
    from flightline.letter_text import line  # noqa: PLC0415
    from shared.messaging.dead_letters import to_json  # noqa: PLC0415

    typer.echo(json.dumps(to_json(letter), default=str) if as_json else line(letter))


async def _show(settings: PlatformSettings, letter_id: str, queue: str | None, *, as_json: bool) -> str:
    from flightline.letter_text import whole  # noqa: PLC0415
    from shared.messaging.dead_letters import to_json  # noqa: PLC0415

    async with _opened(settings) as letters:
        letter = await letters.show(letter_id, queue=queue)
    return json.dumps(to_json(letter), indent=1, default=str) if as_json else whole(letter, datetime.now(UTC))


async def _count(settings: PlatformSettings, chosen: Selection) -> int:
    async with _opened(settings) as letters, aclosing(letters.list(chosen)) as found:
        return sum([1 async for _ in found])


async def _replay(settings: PlatformSettings, chosen: Selection, per_second: float) -> int:
    count = 0

    def tell(_: DeadLetter) -> None:
        nonlocal count
        count += 1
        if count % TOLD_EVERY == 0:
            typer.echo(f"replayed {count} so far", err=True)

    async with _opened(settings) as letters:
        return await letters.replay(chosen, per_second=per_second, tell=tell)


async def _export(settings: PlatformSettings, chosen: Selection, file: Path) -> int:
    async with _opened(settings) as letters:
        with _writable(file):
            return await letters.export(chosen, file)


async def _import(settings: PlatformSettings, file: Path) -> int:
    from shared.messaging.dead_letters import read_letters  # noqa: PLC0415

    kept = await asyncio.to_thread(read_letters, file)
    async with _opened(settings) as letters:
        return await letters.restore(kept)


async def _discard(settings: PlatformSettings, chosen: Selection, export: Path) -> int:
    async with _opened(settings) as letters:
        with _writable(export):
            return await letters.discard(chosen, export=export)


@contextmanager
def _writable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInputError(f"{file}: {error.strerror}", field="FILE", value=str(file)) from error
