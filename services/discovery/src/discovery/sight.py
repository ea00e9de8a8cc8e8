"""Who sees which flights: the owner, whoever has a project of them, and the operator.

A flight is its first finder's; whoever finds it as well, with rights of their own, gets a project of their
own, and by that goes on seeing what becomes of the flight.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from discovery.domain.flights import Flight
from discovery.domain.projects import Project, project_key
from shared.state import Collection, Order

SHARED_AT_MOST = 1000
"""So many flights of others, the newest, are listed and followed; more can be looked at one by one."""
LOOKED_AGAIN_S = 15.0


async def may_see(projects: Collection[Project], viewer: str | None, flight: Flight) -> bool:
    """Return whether somebody may see a flight; None: the operator, whom nothing is hidden from."""
    if viewer is None or viewer == flight.owner:
        return True
    return await projects.get(project_key(flight.flight_id, viewer)) is not None


async def shared_with(projects: Collection[Project], viewer: str) -> tuple[str, ...]:
    """Return the flights of others that somebody may see, those of the newest projects first."""
    page = await projects.find(
        {"owner": viewer, "is_shared": True},
        order=Order("created_at", descending=True),
        limit=SHARED_AT_MOST,
    )
    return tuple(document.body.flight_id for document in page.items)


@dataclass(slots=True)
class Sharing:
    """The flights of others that one viewer may see, looked up now and then."""

    projects: Collection[Project]
    viewer: str
    _known: frozenset[str] = frozenset()
    _looked_at_s: float = field(default=float("-inf"))

    async def includes(self, flight_id: str) -> bool:
        """Return whether a flight is among them."""
        if flight_id not in self._known and time.monotonic() - self._looked_at_s > LOOKED_AGAIN_S:
            self._known = frozenset(await shared_with(self.projects, self.viewer))
            self._looked_at_s = time.monotonic()
        return flight_id in self._known
