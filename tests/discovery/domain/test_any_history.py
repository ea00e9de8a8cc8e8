"""Whatever happens to a flight in whatever order, every version is told of once, and none is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from discovery.domain.flights import Flight, announced, completed, observed, staged, wanting
from shared.events import FlightFound, FlightOptions
from tests.discovery.domain.test_flights import (
    FAST,
    SETTLE,
    at,
    flight,
    images_staged,
    listing,
    task_completed,
)

Status = Literal["completed", "failed", "canceled"]


@dataclass
class History:
    """A flight, the time, and what was told so far."""

    flight: Flight = field(default_factory=flight)
    now_s: float = 0
    told: list[FlightFound] = field(default_factory=list)

    def look(self, version: str, after_s: float) -> None:
        self.now_s += after_s
        self.flight = observed(self.flight, listing(version, self.now_s))
        if news := announced(self.flight, SETTLE):
            self.flight = news[0]
            self.told.append(news[1])

    def ask(self, options: FlightOptions) -> None:
        self.flight = wanting(self.flight, options, at(self.now_s))

    def hear_staged(self, which: int) -> None:
        if self.told:
            run = self.told[which % len(self.told)]
            self.flight = staged(self.flight, images_staged(run.version, rerun=run.rerun), at(self.now_s))

    def hear_completed(self, which: int, status: Status) -> None:
        if self.told:
            run = self.told[which % len(self.told)]
            self.flight = completed(self.flight, task_completed(status, run.version, rerun=run.rerun))


LOOKS = st.tuples(st.just("look"), st.sampled_from("abc"), st.sampled_from([1.0, 30.0]))
ASKS = st.tuples(st.just("ask"), st.sampled_from([FlightOptions(), FAST]))
STAGED = st.tuples(st.just("hear_staged"), st.integers(0, 9))
ENDS = st.tuples(st.just("hear_completed"), st.integers(0, 9), st.sampled_from(["completed", "failed"]))


@given(st.lists(st.one_of(LOOKS, ASKS, STAGED, ENDS), max_size=60), st.sampled_from("abc"))
def test_every_settled_version_is_told_of_exactly_once(steps: list[tuple[str, object]], version: str) -> None:
    history = History()
    for name, *arguments in steps:
        getattr(history, name)(*arguments)
    history.look(version, 1)
    history.look(version, 30)

    told = [(event.version, event.rerun) for event in history.told]
    assert len(told) == len(set(told))
    assert history.flight.run is not None
    assert history.flight.run.version == version
    assert history.flight.state is history.flight.run.state
