"""``flightline sync``: stage what is new of one flight, and show how far it is."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flightline.session import session

if TYPE_CHECKING:
    from discovery.domain.flights import Flight
    from discovery.finder import Finder, Found
    from flightline.display import Display
    from flightline.pipeline import Pipeline
    from ingest.domain.transfers import Transfer
    from shared.settings import PlatformSettings

POLL_S = 0.2


def sync(
    flight: Annotated[
        str, typer.Argument(metavar="FLIGHT", help="A flight's id or name, a folder, or a URI of its source.")
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and no progress.")
    ] = False,
) -> None:
    """Copy what is new of a flight into the object store; what is there already is not read again."""
    with session("sync", quiet_logs=True, as_json=as_json) as settings:
        began_at = datetime.now(UTC)
        transfer = asyncio.run(_synced(settings, flight, quiet=as_json))
        document = as_document(transfer, began_at)
        typer.echo(json.dumps(document, indent=1) if as_json else as_text(document))


async def _synced(settings: PlatformSettings, named: str, *, quiet: bool) -> Transfer:
    from flightline.display import display  # noqa: PLC0415 - so that --help is quick
    from flightline.flight_run import SETTLE  # noqa: PLC0415
    from flightline.pipeline import ONLY_WHAT_IS_NAMED, PARTS, running_pipeline  # noqa: PLC0415

    services = {name: PARTS[name] for name in ("ingest", "discovery")}
    with display(quiet=quiet) as shown:
        async with running_pipeline(_reading(settings, named), ONLY_WHAT_IS_NAMED, services) as pipeline:
            finder: Finder = replace(pipeline.states["discovery"]["finder"], settle=SETTLE)
            flight = await _announced(finder, named)
            return await _staged(pipeline, flight, shown)


async def _announced(finder: Finder, named: str) -> Flight:
    """Look at the flight's source until it has settled, and have a new version of it staged."""
    known = await _known(finder, named)
    if known is not None:
        (flight,) = await finder.ask(await _at(finder, known), known.wanted, owner=known.owner)
        return await finder.settled(flight)
    return await finder.settled(await _new(finder, named))


async def _new(finder: Finder, named: str) -> Flight:
    from flightline.flight_run import source_uri  # noqa: PLC0415
    from shared.errors import InvalidInputError  # noqa: PLC0415
    from shared.events import FlightOptions  # noqa: PLC0415

    found = await finder.find(source_uri(named))
    if len(found.flights) > 1:
        raise InvalidInputError(
            f"{found.source.uri} holds {len(found.flights)} flights; name one of them", field="FLIGHT"
        )
    (files,) = found.flights
    known = await finder.flights.get(_id(found))
    options = known.body.wanted if known else FlightOptions(skip_processing=True)
    (flight,) = await finder.ask(type(found)(found.source, [files]), options)
    return flight


def _id(found: Found) -> str:
    from shared.sources import flight_id  # noqa: PLC0415

    return flight_id(found.source, found.flights[0].images_path)


async def _known(finder: Finder, named: str) -> Flight | None:
    """Return the flight with this id, or the only one of this name."""
    from shared.errors import InvalidInputError  # noqa: PLC0415

    if _is_place(named):
        return None
    if (document := await finder.flights.get(named)) is not None:
        return document.body
    page = await finder.flights.find({"name": named}, limit=10)
    same = [document.body for document in page.items]
    if len(same) > 1:
        ids = ", ".join(flight.flight_id for flight in same)
        raise InvalidInputError(
            f"{len(same)} flights are called {named}; name one by its id: {ids}", field="FLIGHT"
        )
    return same[0] if same else None


async def _at(finder: Finder, known: Flight) -> Found:
    from discovery.finder import Found  # noqa: PLC0415
    from shared.sources import read_flight  # noqa: PLC0415

    source = await finder.sources.at(known.source, known.owner)
    return Found(source, [await read_flight(source, known.images_path)])


async def _staged(pipeline: Pipeline, flight: Flight, shown: Display) -> Transfer:
    """Show the transfer of the flight's newest version until it is over.

    Raises:
        PermanentError: It failed, or somebody paused or canceled it.
    """
    from ingest.domain.transfers import TransferState  # noqa: PLC0415
    from shared.errors import PermanentError  # noqa: PLC0415

    said: str | None = None
    while True:
        transfer = await _transfer(pipeline, flight)
        if transfer is not None:
            _show(transfer, shown)
            if transfer.error and transfer.error != said:
                said = transfer.error
                shown.say(f"  staging {transfer.state.value}: {said}")
            if transfer.state is TransferState.STAGED:
                return transfer
            if transfer.state in (TransferState.FAILED, TransferState.CANCELED, TransferState.PAUSED):
                raise PermanentError(transfer.error or f"the transfer is {transfer.state.value}")
        await asyncio.sleep(POLL_S)


async def _transfer(pipeline: Pipeline, flight: Flight) -> Transfer | None:
    run = flight.run
    assert run is not None
    document = await pipeline.states["ingest"]["transfers"].get(f"{flight.flight_id}.{run.version}")
    if document is None or run.rerun not in [ask.data.rerun for ask in document.body.asks]:
        return None  # ingest has not heard of it yet
    transfer: Transfer = document.body
    return transfer


def _show(transfer: Transfer, shown: Display) -> None:
    amounts = transfer.amounts
    if amounts.bytes_total:
        rate = f", {amounts.bytes_per_s / 1e6:.1f} MB/s" if amounts.bytes_per_s else ""
        note = f"{amounts.files_done} of {amounts.files_total} files{rate}"
        shown.stage("staging", amounts.bytes_done, amounts.bytes_total, note)


def as_document(transfer: Transfer, began_at: datetime) -> dict[str, Any]:
    """Return the result for programs."""
    staged, amounts = transfer.staged, transfer.amounts
    assert staged is not None
    is_old = transfer.updated_at < began_at
    return {
        "flight_id": transfer.flight_id,
        "name": transfer.name,
        "version": transfer.flight.version,
        "state": transfer.state.value,
        "images": staged.image_count,
        "bytes": staged.total_bytes,
        "unchanged": is_old,
        "read_bytes": 0 if is_old else amounts.read_bytes,
        "reused_bytes": 0 if is_old else amounts.reused_bytes,
        "left_out": staged.rejected_count,
        "left_out_by_reason": {kind.value: count for kind, count in amounts.rejected.items()},
        "manifest": staged.manifest,
        "seconds": round((datetime.now(UTC) - began_at).total_seconds(), 2),
    }


def as_text(document: dict[str, Any]) -> str:
    """Return the result for people."""
    read, reused = document["read_bytes"] / 1e6, document["reused_bytes"] / 1e6
    how = "unchanged" if document["unchanged"] else f"{read:.1f} MB read, {reused:.1f} MB were there"
    size = f"{document['images']} images, {document['bytes'] / 1e6:.1f} MB"
    lines = [
        f"{document['name']}: {size} staged ({how}) in {document['seconds']} s",
        f"manifest: {document['manifest']}",
    ]
    lines += [f"left out: {count} {kind}" for kind, count in document["left_out_by_reason"].items()]
    return "\n".join(lines)


def _is_place(named: str) -> bool:
    return "://" in named or Path(named).expanduser().is_dir()


def _reading(settings: PlatformSettings, named: str) -> PlatformSettings:
    """Allow the folder that the user named, whatever the settings allow to others."""
    if "://" in named or not _is_place(named):
        return settings
    folder = Path(named).expanduser().resolve()
    return settings.model_copy(update={"folders": (*settings.readable_folders, folder)})
