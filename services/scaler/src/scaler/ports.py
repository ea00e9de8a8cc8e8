"""Whom scaler needs."""

from __future__ import annotations

from typing import Protocol

from scaler.domain.asks import Asks, Scaled


class ScalesImages(Protocol):
    """Scales images, beside the event loop."""

    async def scale(self, content: bytes, asks: Asks) -> Scaled:
        """Return the image scaled, in the format it came in.

        Raises:
            RejectedError: It cannot be scaled, now or later.
        """
