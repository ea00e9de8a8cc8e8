"""The events: CloudEvents envelope, the four types, and their documents."""

from shared.events.envelope import Event, EventData, new_event
from shared.events.types import (
    EVENT_TYPES,
    FlightFound,
    FlightOptions,
    ImageScaled,
    ImagesStaged,
    Option,
    Scale,
    TaskCompleted,
)

__all__ = [
    "EVENT_TYPES",
    "Event",
    "EventData",
    "FlightFound",
    "FlightOptions",
    "ImageScaled",
    "ImagesStaged",
    "Option",
    "Scale",
    "TaskCompleted",
    "new_event",
]
