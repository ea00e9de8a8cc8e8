"""Look at sources, keep what was seen, and announce each settled version of a flight once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

import structlog

from discovery.domain.flights import (
    SKIPPED_KEPT,
    Flight,
    FlightState,
    Listing,
    SkippedFile,
    adopted,
    announced,
    observed,
    unreadable,
    wanting,
)
from discovery.domain.places import shown_to_all
from discovery.metrics import ANNOUNCED
from shared.errors import InvalidInputError, NotFoundError
from shared.events import Event, FlightFound, FlightOptions, new_event
from shared.sources import (
    FlightFiles,
    Folder,
    Layout,
    LoginNeededError,
    Place,
    Source,
    Sources,
    find,
    flight_id,
    flight_of,
)
from shared.state import Change, Collection, Document
from shared.tracing import Span, current, parse_traceparent, traceparent

log = structlog.get_logger()

SERVICE = "flightline/discovery"
USUAL_PLACES = ("", "code/images", "images")
"""Where the images of a folder that is itself a flight may lie."""


@dataclass(frozen=True, slots=True)
class Found:
    """Flights that lie at one source."""

    source: Source
    flights: list[FlightFiles]


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds flights; any number of replicas may do so at once."""

    flights: Collection[Flight]
    sources: Sources
    settle: timedelta
    layout: Layout = field(default_factory=Layout)
    processed_elsewhere: bool = False
    """Flights are only staged: WebODM gets the images and processes them itself."""

    async def find(self, uri: str, owner: str = "") -> Found:
        """Return every flight at ``uri``, as ``owner`` may read it.

        Raises:
            NotFoundError: There are no images there.
            InvalidInputError: The URI is malformed, holds a secret, or names what may not be read.
        """
        source = await self.sources.at(shown_to_all(uri), owner)
        flights = [files async for files in flights_in(source, self.layout)]
        if not flights:
            raise NotFoundError(
                f"no images in {source.uri}: looked for *.jpg and *.jpeg there, in code/images, in images and"
                f" in {', '.join(self.layout.globs)}"
            )
        return Found(source, flights)

    async def ask(self, found: Found, options: FlightOptions, *, owner: str = "") -> list[Flight]:
        """Have every flight found processed with ``options``, once each has settled.

        What becomes of a flight of somebody else is theirs to say: it is only looked at.
        """
        return [
            await self._seen(found.source, files, options=options, owner=owner) for files in found.flights
        ]

    async def scan(self, uri: str) -> int:
        """Look at every flight below a root, announce those that have settled; return how many there are.

        A photograph that lies in the root itself makes no flight of it.
        """
        source = await self.sources.at(shown_to_all(uri))
        count = 0
        async for place in find(source, self.layout):
            if place.flight is None:
                _tell_unreadable(source, place)
                continue
            await self.note(source, place.flight, is_marked=place.is_marked)
            count += 1
        return count

    async def note(
        self, source: Source, files: FlightFiles, *, owner: str = "", is_marked: bool = True
    ) -> Flight:
        """Keep what was seen of a flight, and announce it if it has settled."""
        return await self._seen(source, files, owner=owner, is_marked=is_marked)

    async def look(self, known: Flight) -> Flight:
        """Look at a known flight once more and announce it if it has settled.

        Raises:
            NotFoundError: Its folder is gone.
        """
        files, is_marked = await self._read(known)
        return await self._observe(known, files, is_marked=is_marked)

    async def settled(self, known: Flight) -> Flight:
        """Look at a flight until it has settled and was announced, and return it.

        Raises:
            NotFoundError: Its images are gone.
        """
        flight = known
        while flight.state is FlightState.SETTLING:
            await asyncio.sleep(self.settle.total_seconds())
            flight = await self.look(flight)
            if flight.listing is None or flight.listing.image_count == 0:
                raise NotFoundError(f"there are no images in {flight.source} any more")
        return flight

    async def note_trouble(self, known: Flight, trouble: str) -> None:
        """Write down why a flight's source could not be looked at."""
        now = datetime.now(UTC)
        await self.flights.update(known.flight_id, lambda flight: unreadable(flight, trouble, now))

    async def _read(self, known: Flight) -> tuple[FlightFiles, bool]:
        """List a flight as its owner may read it, and see whether it is marked as complete."""
        source, path = await self.sources.at(known.source, known.owner), known.images_path
        folder = await source.folder(path)
        above = await source.folder(path.rpartition("/")[0]) if path else Folder()
        return flight_of(path, folder, above, self.layout.files), self.layout.is_marked(folder, above)

    async def _seen(
        self,
        source: Source,
        files: FlightFiles,
        *,
        options: FlightOptions | None = None,
        owner: str = "",
        is_marked: bool | None = None,
    ) -> Flight:
        known = (await self._ensure(source, files, owner)).body
        if owner and known.owner != owner:
            options = None
        is_elsewhere = (known.source, known.images_path) != (source.uri, files.images_path)
        if is_elsewhere or (is_marked is None and self.layout.ready_marker):
            # Found from another folder above it; paths, and so the version, are told from the first one.
            files, is_marked = await self._read(known)
        return await self._observe(known, files, options=options, is_marked=is_marked is not False)

    async def _ensure(self, source: Source, files: FlightFiles, owner: str) -> Document[Flight]:
        now = datetime.now(UTC)
        new = Flight(
            flight_id=flight_id(source, files.images_path),
            name=flight_name(source, files.images_path),
            source=source.uri,
            images_path=files.images_path,
            system_id=source.system_id,
            owner=owner,
            created_at=now,
            updated_at=now,
        )
        known = await self.flights.get(new.flight_id)
        known = known or (await self.flights.ensure(new.flight_id, new))[0]
        if owner and not known.body.owner:  # so far it was nobody's in particular
            return await self.flights.update(new.flight_id, lambda flight: adopted(flight, owner))
        return known

    async def _observe(
        self, known: Flight, files: FlightFiles, *, options: FlightOptions | None = None, is_marked: bool
    ) -> Flight:
        asked_in = traceparent()
        parent = current() or parse_traceparent(known.traceparent)
        with Span("announce flight", parent=parent, is_kept=False) as span:
            document = await self._looked_at(known.flight_id, _listing(files), options, asked_in, is_marked)
            span.is_kept = bool(document.record.outbox)
        if span.is_kept:
            ANNOUNCED.inc()
        state, images = document.body.state, len(files.images)
        log.debug("flight.observed", flight_id=known.flight_id, state=state, images=images)
        return document.body

    async def _looked_at(
        self,
        flight_id: str,
        listing: Listing,
        options: FlightOptions | None,
        asked_in: str | None,
        is_marked: bool,
    ) -> Document[Flight]:
        settle = timedelta() if self.layout.ready_marker else self.settle

        def change(flight: Flight) -> Change[Flight] | Flight | None:
            asked = flight if options is None else wanting(flight, options, listing.seen_at, asked_in)
            seen = observed(asked, listing)
            told = announced(seen, settle, processed_elsewhere=self.processed_elsewhere)
            if told is None or not is_marked:
                return None if options is None and _nothing_new(flight, seen) else seen
            return Change(told[0], [found_event(told[1])])

        return await self.flights.update(flight_id, change)


async def flights_in(source: Source, layout: Layout) -> AsyncIterator[FlightFiles]:
    """Find the flights of a source: the folder itself if it holds images, else what fits the layout."""
    for place in USUAL_PLACES:
        try:
            folder = await source.folder(place)
            above = await source.folder(place.rpartition("/")[0]) if place else Folder()
        except LoginNeededError:
            raise
        except (NotFoundError, InvalidInputError):
            if not place:
                raise
            continue
        files = flight_of(place, folder, above, layout.files)
        if files.images:
            yield files
            return
    async for found in find(source, layout):
        if found.flight is None:
            _tell_unreadable(source, found)
        else:
            yield found.flight


def _tell_unreadable(source: Source, place: Place) -> None:
    log.warning("flight.unreadable", source=source.uri, images_path=place.images_path, error=place.trouble)


def flight_name(source: Source, images_path: str) -> str:
    """Return what people call the flight: the folder above ``code/images``, or the images' own folder."""
    parts = [part for part in f"{source.path}/{images_path}".split("/") if part]
    while len(parts) > 1 and parts[-1] in {"images", "code"}:
        parts.pop()
    return (parts[-1] if parts else source.system_id or "flight")[:255]


def _listing(files: FlightFiles) -> Listing:
    skipped = [SkippedFile(path=item.path, reason=item.reason) for item in files.skipped[:SKIPPED_KEPT]]
    return Listing(
        version=files.version,
        seen_at=datetime.now(UTC),
        image_count=len(files.images),
        total_bytes=files.total_bytes,
        sidecars=tuple(entry.path for entry in files.sidecars),
        skipped=tuple(skipped),
    )


def _nothing_new(before: Flight, after: Flight) -> bool:
    return before.listing is not None and (
        before.state is after.state
        and before.listing.version == (after.listing.version if after.listing else "")
        and before.stable_since == after.stable_since
        and before.trouble is None
        and before.state is not FlightState.SETTLING
    )


def found_event(found: FlightFound) -> Event[FlightFound]:
    """Return the one event that announces a version of a flight: the same however often it is told."""
    name = f"flight-found/{found.flight_id}/{found.version}/{found.rerun}"
    return new_event(SERVICE, found, event_id=str(uuid5(NAMESPACE_URL, name)))
