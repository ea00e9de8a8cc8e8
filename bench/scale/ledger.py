"""What was told of each flight, by whom and how often: whether one was lost, or anything was done twice."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.scale.flight_set import Flight

COMPLETED = "task-completed"
EXPECTED: Mapping[tuple[str, str], str] = {
    ("images-staged", "flightline/ingest"): "every",
    ("images-staged", "flightline/scaler"): "scaled",
    ("image-scaled", "flightline/scaler"): "image",
    (COMPLETED, "flightline/odm-gateway"): "every",
}
"""By type and teller: one of each flight, of each that is scaled, or of each image of those."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an auditor says at the end."""

    flights: int
    """Those whose announcement the broker has confirmed."""
    completed: int
    events: int
    """Different ones that were heard."""
    told_again: int
    """Deliveries of an event that was heard before: allowed, since delivery is at least once."""
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

    images: int
    """Of each flight."""
    published: dict[str, Flight] = field(default_factory=dict)
    """Flights whose announcement the broker has confirmed, by id."""
    completed: set[str] = field(default_factory=set)
    last: dict[str, bytes] = field(default_factory=dict)
    """The last event of each type, to be told once more: nobody may mind."""
    _keys: set[tuple[str, str]] = field(default_factory=set)
    _told: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _again: int = 0
    _badly: list[str] = field(default_factory=list)

    def confirm(self, flight: Flight) -> None:
        """Note that the broker has a flight's announcement."""
        self.published[flight.id] = flight

    def hear(self, body: bytes) -> str | None:
        """Note one delivery; return the flight that has come to its end by it."""
        event: dict[str, Any] = json.loads(body)
        key = (event["source"], event["id"])
        if key in self._keys:
            self._again += 1
            return None
        self._keys.add(key)
        self.last[event["type"]] = body
        subject = event["data"].get("flight_id") or event.get("subject") or ""
        self._told[event["type"], event["source"]][subject] += 1
        if event["type"] != COMPLETED:
            return None
        if event["data"]["status"] != "completed":
            self._badly.append(f"{subject}: {event['data']['status']}: {event['data'].get('error')}")
        self.completed.add(subject)
        return str(subject)

    def verdict(self) -> Verdict:
        """Return what was lost and what was doubled."""
        lost, doubled = list(self._badly), list[str]()
        for (event_type, teller), which in EXPECTED.items():
            told = self._told[event_type, teller]
            for flight in self.published.values():
                wanted = self._wanted(flight, which)
                if (count := told[flight.id]) != wanted:
                    (lost if count < wanted else doubled).append(
                        f"{flight.id}: {count} of {wanted} {event_type} of {teller}"
                    )
        lost += [f"{name}: its announcement was not heard" for name in self._unheard()]
        lost += [f"{subject}: {key} was not expected" for key, subject in self._strangers()]
        return Verdict(
            flights=len(self.published),
            completed=len(self.completed & self.published.keys()),
            events=len(self._keys),
            told_again=self._again,
            lost=tuple(lost),
            doubled=tuple(doubled),
        )

    def _wanted(self, flight: Flight, which: str) -> int:
        each = {"every": 1, "scaled": int(flight.is_scaled), "image": self.images * flight.is_scaled}
        return each[which]

    def _unheard(self) -> list[str]:
        return [
            flight.id
            for flight in self.published.values()
            if (flight.event.source, flight.event.id) not in self._keys
        ]

    def _strangers(self) -> list[tuple[str, str]]:
        """Return tellers of what nobody expects, such as a failure to stage."""
        return [
            (" of ".join(key), subject)
            for key, told in self._told.items()
            for subject in told
            if key not in EXPECTED and key[0] != "flight-found"
        ]
