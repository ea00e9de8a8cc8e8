"""What the mover hears: that images were scaled, and may lie unsorted now."""

from __future__ import annotations

from collections.abc import Callable

from shared.events import Event, ImageScaled


async def note_scaled(event: Event[ImageScaled], *, note: Callable[[], None]) -> None:
    """Look soon; images of flights lie in the object store, where nothing is sorted."""
    if event.data.flight_id is None:
        note()
