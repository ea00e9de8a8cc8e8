"""What was told of each flight, by whom and how often: whether one was lost, or anything was done twice."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.scale.flight_set import OUTSIDE, Flight

FOUND, SCALED, COMPLETED = "flight-found", "image-scaled", "task-completed"
EXPECTED: Mapping[tuple[str, str], str] = {
    (FOUND, OUTSIDE): "every",
    ("images-staged", "flightline/ingest"): "every",
    ("images-staged", "flightline/scaler"): "scaled",
    (SCALED, "flightline/scaler"): "image",
    (COMPLETED, "flightline/odm-gateway"): "every",
}
"""By type and teller: one of each flight, of each that is scaled, or of each image of those."""

Key = tuple[str, str]
"""Source and id: two deliveries with the same are one event."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an auditor says at the end."""

    flights: int
    """Those whose announcement the broker has confirmed."""
    completed: int
    events: int
    """Different ones that were heard."""
    told_again: int
    """Events that a service published once more: allowed, since delivery is at least once."""
    lost: tuple[str, ...] = ()
    """A sentence for each thing that should have been heard."""
    doubled: tuple[str, ...] = ()
    """A sentence for each thing that was done more often than it should."""

    @property
    def is_clean(self) -> bool:
        """Return whether nothing was lost and nothing doubled."""
        return not self.lost and not self.doubled


@dataclass(slots=True)
class Ledger:
    """An independent record of everything that passes over the exchange."""

    flights: int
    """How many are to be announced."""
    images: int
    """Of each flight."""
    published: dict[str, Flight] = field(default_factory=dict)
    """Flights whose announcement the broker has confirmed, by id."""
    completed: set[str] = field(default_factory=set)
    ends: set[str] = field(default_factory=set)
    """Ids of the events that told of an end."""
    last: dict[str, bytes] = field(default_factory=dict)
    """The last event of each type, to be told once more: nobody may mind."""
    _contents: dict[Key, int] = field(default_factory=dict)
    """A hash of what was heard of each event."""
    _told: dict[tuple[str, str], dict[str, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    """By type and teller: of each flight, how often each thing was told."""
    _again: Counter[Key] = field(default_factory=Counter)
    _retold: Counter[Key] = field(default_factory=Counter)
    _badly: list[str] = field(default_factory=list)
    _otherwise: list[str] = field(default_factory=list)

    def confirm(self, flight: Flight) -> None:
        """Note that the broker has a flight's announcement."""
        self.published[flight.id] = flight

    def retell(self, body: bytes) -> None:
        """Note that the bench itself publishes an event once more."""
        self._retold[_key(json.loads(body))] += 1

    def hear(self, body: bytes, *, is_redelivered: bool = False) -> str | None:
        """Note one delivery; return the flight that has come to its end by it.

        Args:
            body: The event.
            is_redelivered: The auditor was given it before, and could not say that it had it.
        """
        event: dict[str, Any] = json.loads(body)
        event_type, data, key = event["type"], event["data"], _key(event)
        subject = str(data.get("flight_id") or event.get("subject") or "")
        content = hash((event_type, json.dumps(data, sort_keys=True)))
        if key in self._contents:
            self._again[key] += not is_redelivered
            if self._contents[key] != content:
                self._otherwise.append(f"{subject}: {event_type} {key[1]} was told again, and otherwise")
            return None
        self._contents[key] = content
        self.last[event_type] = body
        thing = str(data.get("source")) if event_type == SCALED else ""
        self._told[event_type, event["source"]][subject][thing] += 1
        return self._end(event, subject) if event_type == COMPLETED else None

    def verdict(self) -> Verdict:
        """Return what was lost and what was doubled."""
        lost, doubled = list(self._badly), list(self._otherwise)
        if (missing := self.flights - len(self.published)) > 0:
            lost.append(f"{missing} of {self.flights} flights were never announced")
        for (event_type, teller), which in EXPECTED.items():
            told = self._told[event_type, teller]
            for flight in self.published.values():
                things, wanted = told.get(flight.id, Counter[str]()), self._wanted(flight, which)
                line = (
                    f"{flight.id}: {things.total()} {event_type} of {teller} about {len(things)} of {wanted}"
                )
                if len(things) < wanted:
                    lost.append(line)
                if things.total() > min(wanted, len(things)):
                    doubled.append(line)
        doubled += self._strangers()
        return Verdict(
            flights=len(self.published),
            completed=len(self.completed & self.published.keys()),
            events=len(self._contents),
            told_again=sum(
                max(0, count - self._retold[key]) for key, count in self._again.items() if key[0] != OUTSIDE
            ),
            lost=tuple(lost),
            doubled=tuple(doubled),
        )

    def _end(self, event: dict[str, Any], subject: str) -> str:
        status = event["data"]["status"]
        if status != "completed":
            self._badly.append(f"{subject}: {status}: {event['data'].get('error')}")
        self.completed.add(subject)
        self.ends.add(event["id"])
        return subject

    def _wanted(self, flight: Flight, which: str) -> int:
        each = {"every": 1, "scaled": int(flight.is_scaled), "image": self.images * flight.is_scaled}
        return each[which]

    def _strangers(self) -> list[str]:
        """Return what nobody expects: of another teller, as a failure to stage, or of another flight."""
        return [
            f"{subject}: {event_type} of {teller} was not expected"
            for (event_type, teller), told in self._told.items()
            for subject in told
            if (event_type, teller) not in EXPECTED or subject not in self.published
        ]


def _key(event: Mapping[str, Any]) -> Key:
    return event["source"], event["id"]
