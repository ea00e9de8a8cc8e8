"""How workers are called: the queue of work that is waiting, which is what they are scaled by.

Documents say what there is to compute, and leases who computes it; a message only calls. One that is lost
costs a second, for workers look by themselves, too; so does one that comes twice.
"""

from __future__ import annotations

from typing import ClassVar

from datalab.domain.computations import Computation
from shared.events import Event, EventData, new_event
from shared.events.types import Identifier
from shared.messaging.port import Subscription

SERVICE = "datalab"
SOURCE = f"flightline/{SERVICE}"


class ComputationAsked(EventData):
    """A computation waits for a worker. Told and heard by datalab alone."""

    type: ClassVar[str] = "datalab-computation-asked"

    key: Identifier
    """Names the computation."""


CALLS = Subscription(SERVICE, ComputationAsked.type)


def call_for(computation: Computation) -> Event[ComputationAsked]:
    """Return what calls workers to a computation."""
    return new_event(SOURCE, ComputationAsked(key=computation.key))
