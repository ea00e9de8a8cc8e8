"""Events to send about."""

from __future__ import annotations

from datetime import timedelta

from shared.events import Event, FlightFound, ImagesStaged, new_event
from shared.messaging.port import Subscription, Topology

SHORT_LADDER = (timedelta(seconds=0.1), timedelta(seconds=0.2))


def flight_found(flight_id: str = "f1") -> Event[FlightFound]:
    """Return the finding of a flight of one image."""
    data = FlightFound(
        flight_id=flight_id, version="v1", name="meadow", source="file:///x", image_count=1, total_bytes=1
    )
    return new_event("flightline/test", data)


def one_queue(service: str = "ingest") -> Topology:
    """Return a topology in which one service hears of found flights, with a ladder of two short rungs."""
    return Topology((Subscription(service, FlightFound.type),), SHORT_LADDER)


def two_queues() -> Topology:
    """Return a topology in which one service hears of found flights, and another of staged images."""
    other = Subscription("odm-gateway", ImagesStaged.type)
    return Topology((*one_queue().subscriptions, other), SHORT_LADDER)
