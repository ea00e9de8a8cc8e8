"""Flights of a few tiny photographs, each other than the next, and what an outside system tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import simplejpeg

from flightline.simulation.exif import PhotoTags, with_metadata
from shared.events import Event, FlightFound, FlightOptions
from shared.sources import flight_id
from shared.sources.folder import FolderSource

WIDTH, HEIGHT = 64, 48
OUTSIDE = "flightline/outside-bench"
TAKEN_AT = datetime(2026, 6, 14, 9, 30, tzinfo=UTC)
SCALE = 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """How many flights there are, and what is wanted of them."""

    flights: int
    images: int = 2
    scaled_every: int = 5
    """One of so many flights is scaled before it is processed."""
    owners: int = 10

    def is_scaled(self, number: int) -> bool:
        """Return whether a flight asks for a scale."""
        return number % self.scaled_every == 0


@dataclass(frozen=True, slots=True)
class Flight:
    """One flight as an outside system knows it."""

    event: Event[FlightFound]
    folder: Path
    is_scaled: bool

    @property
    def id(self) -> str:
        """Return the flight's id."""
        return self.event.data.flight_id


def flights(folder: Path, plan: Plan) -> Iterator[Flight]:
    """Write the flights of ``plan`` below ``folder``, one whenever the next is asked for."""
    pixels = np.random.default_rng(7).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    bare: bytes = simplejpeg.encode_jpeg(pixels, quality=60)
    for number in range(plan.flights):
        yield _flight(folder / f"{number // 1000:03}" / f"flight-{number:06}", number, plan, bare)


def _flight(folder: Path, number: int, plan: Plan, bare: bytes) -> Flight:
    folder.mkdir(parents=True)
    sizes = []
    for index in range(plan.images):
        content = _photo(bare, number, index)
        (folder / f"DJI_{index:04}.JPG").write_bytes(content)
        sizes.append(len(content))
    is_scaled = plan.is_scaled(number)
    data = FlightFound(
        flight_id=flight_id(FolderSource(folder), ""),
        version="1",
        name=folder.name,
        source=folder.as_uri(),
        image_count=plan.images,
        total_bytes=sum(sizes),
        owner=f"owner-{number % plan.owners}",
        options=FlightOptions(scale=SCALE if is_scaled else None),
    )
    event_id = str(uuid5(NAMESPACE_URL, data.source))
    event = Event[FlightFound](
        id=event_id, source=OUTSIDE, type=data.type, time=datetime.now(UTC), subject=data.subject, data=data
    )
    return Flight(event, folder, is_scaled)


def _photo(bare: bytes, number: int, index: int) -> bytes:
    """Return a photograph that was taken at a place and a moment of its own."""
    tags = PhotoTags(
        width=WIDTH, height=HEIGHT, latitude_deg=47.0 + number * 1e-4, longitude_deg=8.0 + index * 1e-4,
        altitude_m=500.0, relative_altitude_m=80.0, gimbal_yaw_deg=0.0, gimbal_pitch_deg=-90.0,
        flight_yaw_deg=0.0, focal_mm=8.8, focal_35mm=24, taken_at=TAKEN_AT + timedelta(seconds=index),
    )  # fmt: skip
    return with_metadata(bare, tags)
