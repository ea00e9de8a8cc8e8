"""Whom ingest needs."""

from __future__ import annotations

from typing import Protocol

from shared.sources import Source


class OpensSources(Protocol):
    """Opens the places that flights are read from."""

    async def at(self, uri: str, owner: str = "") -> Source:
        """Return the source that ``uri`` names, as ``owner`` may read it."""
