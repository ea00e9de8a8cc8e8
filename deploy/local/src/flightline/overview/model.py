"""What one look at everything found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.messaging.port import UNROUTED_QUEUE, QueueCounts

OLD_S = 600.0
"""As the alert has it: an event that has waited for longer is waiting for somebody to look."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Whether a backend answers."""

    name: str
    ok: bool
    says: str


@dataclass(frozen=True, slots=True)
class ServiceLook:
    """What a service says of itself."""

    name: str
    url: str
    state: Literal["ready", "unready", "draining", "silent"]
    why: Mapping[str, str] = field(default_factory=dict)
    """Reason by check that does not hold, or why it did not answer."""
    version: str = ""


@dataclass(frozen=True, slots=True)
class QueueLook:
    """What lies in a queue."""

    name: str
    counts: QueueCounts | None
    """None: it is not declared, so nobody has ever listened."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Dead letters by reason, where they were looked at."""

    @property
    def service(self) -> str:
        """Return who listens."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is worked on, or waits for it."""

    kind: str
    id: str
    name: str
    state: str
    is_held: bool
    """Somebody works on it now."""
    since_s: float
    """For how long it has been there."""
    progress: float | None
    """Between 0 and 1."""
    says: str = ""
    """Its stage, or why it waits."""


@dataclass(frozen=True, slots=True)
class Line:
    """How much there is of one kind of work: what is in hand, what waits to be admitted."""

    kind: str
    service: str
    open: int
    in_hand: int
    """Among the first of them."""
    oldest_s: float | None
    items: Sequence[Item] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that failed lately."""

    kind: str
    id: str
    name: str
    at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it."""

    at: datetime
    backends: Sequence[Backend]
    services: Sequence[ServiceLook]
    flights: Mapping[str, int]
    queues: Sequence[QueueLook]
    unrouted: int
    work: Sequence[Line]
    failures: Sequence[Failure]


def amiss(found: Overview) -> list[str]:
    """Return a sentence for everything that somebody should look at, the worst first."""
    return [
        *(f"{each.name} does not answer: {each.says}" for each in found.backends if not each.ok),
        *(_unready(each) for each in found.services if each.state == "unready"),
        *(_silent(each, waits) for each in found.services if (waits := _waits_for(each, found))),
        *(text for queue in found.queues if queue.counts for text in _queue(queue, queue.counts)),
        *_unrouted(found.unrouted),
    ]


def _unready(service: ServiceLook) -> str:
    why = "; ".join(f"{check}: {reason}" for check, reason in service.why.items())
    return f"{service.name} is not ready: {why or 'it does not say why'}"


def _waits_for(service: ServiceLook, found: Overview) -> int:
    if service.state != "silent":
        return 0
    counts = [queue.counts for queue in found.queues if queue.service == service.name and queue.counts]
    consumed = sum(each.ready for each in counts if not each.consumers)
    return consumed + sum(line.open - line.in_hand for line in found.work if line.service == service.name)


def _silent(service: ServiceLook, waits: int) -> str:
    return f"{service.name} does not answer at {service.url}, and {waits} wait for it"


def _queue(queue: QueueLook, counts: QueueCounts) -> list[str]:
    said = []
    if counts.dead:
        letters = "1 dead letter" if counts.dead == 1 else f"{counts.dead} dead letters"
        said.append(f"{letters} in {queue.name}: flightline dead-letters list --queue {queue.name}")
    if counts.consumers == 0 and counts.ready:
        said.append(f"nobody listens to {queue.name}, where {counts.ready} wait")
    elif counts.oldest_s is not None and counts.oldest_s > OLD_S:
        said.append(f"the oldest of {counts.ready} in {queue.name} has waited for {counts.oldest_s:.0f} s")
    return said


def _unrouted(count: int) -> list[str]:
    if not count:
        return []
    messages = "1 message has" if count == 1 else f"{count} messages have"
    return [
        f"{messages} a type that nobody listens to: flightline dead-letters list --queue {UNROUTED_QUEUE}"
    ]
