"""How far flights are, as somebody who watches is told it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from discovery.domain.flights import FlightState
from shared.events import EventData, FlightFound, ImagesStaged, TaskCompleted

STAGES_AT_MOST = 10_000
WEIGHT = 0.3
"""Of the newest rate in the one that is told."""


@dataclass(slots=True)
class _Seen:
    at_s: float
    done: int
    bytes: int
    done_per_s: float = 0.0
    bytes_per_s: float = 0.0


@dataclass(slots=True)
class Rates:
    """How fast stages of flights go, by what was heard of them."""

    _seen: OrderedDict[tuple[str, str], _Seen] = field(default_factory=OrderedDict)

    def rated(self, told: dict[str, Any], now_s: float) -> dict[str, Any]:
        """Return a progress message with its rate and when it will be over, as far as one can tell."""
        key = (str(told["flight_id"]), str(told["stage"]))
        done, size = int(told["done"]), int(told.get("bytes", 0))
        seen = self._seen.get(key)
        if seen is None or done < seen.done or size < seen.bytes:
            seen = self._seen[key] = _Seen(now_s, done, size)
        elif now_s > seen.at_s:
            _learn(seen, now_s, done, size)
        self._seen.move_to_end(key)
        if len(self._seen) > STAGES_AT_MOST or done >= int(told["total"]):
            self._seen.pop(key if done >= int(told["total"]) else next(iter(self._seen)))
        return told | _rate(seen, int(told["total"]) - done)


def _learn(seen: _Seen, now_s: float, done: int, size: int) -> None:
    passed_s = now_s - seen.at_s
    seen.done_per_s = _smooth(seen.done_per_s, (done - seen.done) / passed_s)
    seen.bytes_per_s = _smooth(seen.bytes_per_s, (size - seen.bytes) / passed_s)
    seen.at_s, seen.done, seen.bytes = now_s, done, size


def _smooth(before: float, now: float) -> float:
    return now if before == 0 else before + WEIGHT * (now - before)


def _rate(seen: _Seen, left: int) -> dict[str, Any]:
    rate: dict[str, Any] = {}
    if seen.bytes_per_s > 0:
        rate["bytes_per_s"] = round(seen.bytes_per_s)
    if seen.done_per_s > 0 and left > 0:
        rate["eta_s"] = round(left / seen.done_per_s, 1)
    return rate


def state_told(data: EventData) -> dict[str, Any] | None:
    """Return the state that an event brings a flight into; None: none."""
    match data:
        case FlightFound():
            return _state(data, FlightState.STAGING, data.version, data.rerun) | {
                "name": data.name, "image_count": data.image_count, "total_bytes": data.total_bytes,
            }  # fmt: skip
        case ImagesStaged():
            return _state(data, _staged_state(data), data.version, data.rerun) | {
                "image_count": data.image_count, "total_bytes": data.total_bytes,
            }  # fmt: skip
        case TaskCompleted() if data.flight_id and data.kind != "datalab":
            told = _state(data, FlightState(data.status), data.version or "", data.rerun)
            return told | {"task_id": data.task_id, "error": data.error, "outputs": data.outputs}
        case _:
            return None


def _state(
    data: FlightFound | ImagesStaged | TaskCompleted, state: FlightState, version: str, rerun: int
) -> dict[str, Any]:
    return {"flight_id": data.flight_id, "state": state.value, "version": version, "rerun": rerun}


def _staged_state(data: ImagesStaged) -> FlightState:
    if data.scale.requested and not data.scale.applied:
        return FlightState.SCALING
    return FlightState.STAGED if data.options.skip_processing else FlightState.PROCESSING
