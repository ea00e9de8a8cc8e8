"""Put one flight through the whole pipeline and collect what came out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from pydantic import ValidationError

import odm_gateway.resources
from discovery.domain.flights import ENDED, Flight, FlightState, Run
from discovery.finder import Finder, Found, flight_name
from flightline.display import Display
from flightline.pipeline import ONLY_WHAT_IS_NAMED, PARTS, SCALING, Pipeline, running_pipeline
from flightline.products import collect, folder_for_products
from ingest.domain.manifest import LeftOutFile, Manifest
from ingest.domain.transfers import Transfer
from odm_gateway.adapters.spare_worker import SpareWorker
from shared.errors import InvalidInputError, PermanentError
from shared.events import FlightOptions
from shared.messaging.background import background
from shared.messaging.progress import Progress
from shared.settings import PlatformSettings
from shared.sources import local_folder
from shared.state import Collection, OneOf, Order

SETTLE = timedelta(milliseconds=300)
"""Whoever names a folder says that it is complete; two equal looks still catch a copy under way."""
POLL_S = 0.1
BUNDLE = "all.zip"
"""Holds the other products once more; it stays in the object store."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for."""

    uri: str
    options: FlightOptions
    out: Path | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came out."""

    flight: Flight
    run: Run
    out: Path
    files: tuple[Path, ...]
    left_out: tuple[LeftOutFile, ...]
    """Images that take no part, whoever found out why."""


async def run_flight(
    settings: PlatformSettings, wanted: Wanted, display: Display, spare: SpareWorker
) -> Result:
    """Run the pipeline until the flight is done, and put its products into a folder.

    ``spare`` may be a worker that waits for the flight already.

    Raises:
        PermanentError: The flight cannot be processed; the message says why.
    """
    gateway = replace(PARTS["odm-gateway"], resources=partial(odm_gateway.resources.resources, spare=spare))
    scaling = SCALING if wanted.options.scale else {}
    services = {name: part() for name, part in scaling.items()} | {**PARTS, "odm-gateway": gateway}
    async with running_pipeline(_reading(settings, wanted.uri), ONLY_WHAT_IS_NAMED, services) as pipeline:
        finder: Finder = replace(pipeline.states["discovery"]["finder"], settle=SETTLE)
        found = await finder.find(wanted.uri)
        _check_single(found)
        out = _out_folder(found, wanted)
        with folder_for_products(out):
            (flight,) = await finder.ask(found, wanted.options)
            _say_found(flight, display)
            await _say_others(finder.flights, flight, display, scales=bool(scaling))
            async with background(_show(pipeline, flight.flight_id, display)):
                flight = await _ended(finder.flights, await finder.settled(flight))
            return await _collected(pipeline, flight, out)


def source_uri(named: str) -> str:
    """Return the URI of what the user named: a URI, or a folder of this machine.

    Raises:
        InvalidInputError: There is no such folder.
    """
    if "://" in named:
        return named
    folder = Path(named).expanduser()
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise InvalidInputError(
            f"{named} {what}; name a folder of images, or a URI", field="FOLDER", value=named
        )
    return folder.resolve().as_uri()


def flight_options(settings: list[str], scale: float | None = None) -> FlightOptions:
    """Return what is wanted of a flight: processing options from ``NAME=VALUE`` texts, and a scale.

    Raises:
        InvalidInputError: A text is not of this form.
    """
    process = []
    for text in settings:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise InvalidInputError(f"--set {text}: write NAME=VALUE", field="--set", value=text)
        process.append({"name": name, "value": value})
    try:
        return FlightOptions.model_validate({"process": process, "scale": scale})
    except ValidationError as error:
        raise InvalidInputError(f"--set: {error.errors()[0]['msg']}", field="--set") from error


def _reading(settings: PlatformSettings, uri: str) -> PlatformSettings:
    """Allow the folder that the user named, whatever the settings allow to others; scale nothing besides."""
    settings = settings.model_copy(update={"constants": None})
    if not uri.lower().startswith("file://"):
        return settings
    return settings.model_copy(update={"folders": (*settings.readable_folders, local_folder(uri))})


def _check_single(found: Found) -> None:
    if len(found.flights) > 1:
        uri, names = found.source.uri, ", ".join(files.images_path for files in found.flights[:5])
        raise InvalidInputError(
            f"{uri} holds {len(found.flights)} flights ({names}, …); name the folder of one",
            field="FOLDER",
            value=uri,
        )


def _say_found(flight: Flight, display: Display) -> None:
    listing = flight.listing
    assert listing is not None
    display.say(f"{flight.name}: {listing.image_count} images, {listing.total_bytes / 1e6:.1f} MB")
    for skipped in listing.skipped:
        display.say(f"  left out: {skipped.path}: {skipped.reason}")


async def _say_others(flights: Collection[Flight], ours: Flight, display: Display, *, scales: bool) -> None:
    states = (FlightState.STAGING, FlightState.PROCESSING, *((FlightState.SCALING,) if scales else ()))
    found = await flights.find({"state": OneOf(states)}, order=Order("updated_at"))
    for document in found.items:
        if document.id != ours.flight_id:
            display.say(f"  first goes on: {document.body.name}, which was interrupted or runs elsewhere")


async def _ended(flights: Collection[Flight], flight: Flight) -> Flight:
    while flight.state not in ENDED:
        await asyncio.sleep(POLL_S)
        flight = (await flights.load(flight.flight_id)).body
    return flight


async def _show(pipeline: Pipeline, flight_id: str, display: Display) -> None:
    async with pipeline.platform.transport.hear() as heard:
        async for progress in _readable(heard):
            if progress.flight_id != flight_id:
                continue
            if (
                progress.stage in ("staging", "scaling") and progress.message
            ):  # trouble that people have to see
                display.say(f"  {progress.stage} {progress.message}")
            note = f"{progress.bytes / 1e6:.1f} MB" if progress.bytes else progress.message or ""
            display.stage(progress.stage, progress.done, progress.total, note)


async def _readable(heard: AsyncIterator[bytes]) -> AsyncIterator[Progress]:
    async for body in heard:
        with suppress(ValidationError):  # of another release; losing it loses nothing
            yield Progress.model_validate_json(body)


def _out_folder(found: Found, wanted: Wanted) -> Path:
    name = flight_name(found.source, found.flights[0].images_path)
    return (wanted.out or Path(f"{name}-products")).expanduser().absolute()


async def _collected(pipeline: Pipeline, flight: Flight, out: Path) -> Result:
    run, objects = flight.run, pipeline.platform.objects
    assert run is not None
    if run.state is not FlightState.COMPLETED or run.outputs is None:
        raise PermanentError(run.error or f"the flight ended {run.state.value}")
    products = [asset for asset in run.assets if asset != BUNDLE]
    files = await collect(objects, objects.key(run.outputs), products, out)
    return Result(flight, run, out, files, (*await _not_staged(pipeline, flight, run), *_not_used(run)))


async def _not_staged(pipeline: Pipeline, flight: Flight, run: Run) -> tuple[LeftOutFile, ...]:
    """Return the images that ingest left out; the manifest of scaled ones names those and its own."""
    manifest = await (_scaled_manifest if run.options.scale else _staged_manifest)(pipeline, flight, run)
    objects = pipeline.platform.objects
    return Manifest.model_validate_json(await objects.read(objects.key(manifest))).rejected


async def _staged_manifest(pipeline: Pipeline, flight: Flight, run: Run) -> str:
    transfers: Collection[Transfer] = pipeline.states["ingest"]["transfers"]
    staged = (await transfers.load(f"{flight.flight_id}.{run.version}")).body.staged
    assert staged is not None
    return staged.manifest


async def _scaled_manifest(pipeline: Pipeline, flight: Flight, run: Run) -> str:
    from scaler.domain.jobs import job_id_of  # noqa: PLC0415 - not needed but here
    from scaler.jobs.opening import Jobs  # noqa: PLC0415

    assert run.options.scale is not None
    scaling: Jobs = pipeline.states["scaler"]["jobs"]
    job = await scaling.jobs.load(job_id_of(flight.flight_id, run.version, run.options.scale))
    assert job.body.result is not None
    assert job.body.result.manifest is not None
    return job.body.result.manifest


def _not_used(run: Run) -> Iterator[LeftOutFile]:
    """Return the images that the engine left out."""
    for item in run.summary.get("left_out", ()):
        yield LeftOutFile(path=item["name"], reason=item["reason"])
