"""An overview as one screen of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC

from flightline.overview.model import Failure, Item, Line, Overview, QueueLook, ServiceLook, amiss
from flightline.printable import printable
from shared.messaging.port import UNROUTED_QUEUE

ITEMS_SHOWN = 8
SAYS_SHOWN = 70


def screen(found: Overview) -> str:
    """Return everything that matters, the most urgent first."""
    sections = [
        _verdict(found),
        _section("services", map(_service, found.services)),
        _section(
            "backends", [f"{each.name:<12} {_mark(ok=each.ok)}  {each.says}" for each in found.backends]
        ),
        _section("flights", [_flights(found)] if any(found.flights.values()) else []),
        _section(QUEUES_HEAD, [*map(_queue, filter(_is_shown, found.queues)), *_unrouted(found.unrouted)]),
        _section(WORK_HEAD, [_work(line) for line in found.work if line.open]),
        _section("in hand, and first to come", _items(found.work)),
        _section("failed in the last day", map(_failure, found.failures)),
    ]
    return printable("\n\n".join(section for section in sections if section))


QUEUES_HEAD = (
    f"{'queues':<36} {'ready':>7} {'in hand':>8} {'retrying':>9} {'dead':>6} {'consumers':>10}  oldest"
)
WORK_HEAD = f"{'work':<36} {'open':>7} {'in hand':>8}  oldest waiting"


def _verdict(found: Overview) -> str:
    said = amiss(found)
    head = f"flightline, {found.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: "
    if said:
        return "\n".join([f"{head}{len(said)} to look at", *(f"  ! {sentence}" for sentence in said)])
    if all(service.state == "silent" for service in found.services):
        return f"{head}nothing waits, and no service answers (flightline up runs them here)"
    return f"{head}nothing is amiss"


def _section(title: str, lines: Iterable[str]) -> str:
    rows = list(lines)
    return "\n".join([title, *(f"  {row}".rstrip() for row in rows)]) if rows else ""


def _mark(*, ok: bool) -> str:
    return "ok  " if ok else "FAIL"


def _service(service: ServiceLook) -> str:
    why = "; ".join(f"{check}: {reason}" for check, reason in service.why.items())
    version = f"  {service.version}" if service.version else ""
    return f"{service.name:<12} {service.state:<8}  {service.url}{version}  {why[:SAYS_SHOWN]}"


def _flights(found: Overview) -> str:
    return ", ".join(f"{count} {state}" for state, count in found.flights.items() if count)


def _is_shown(queue: QueueLook) -> bool:
    """Return whether there is anything to tell of a queue: a screen is not long."""
    counts = queue.counts
    return counts is not None and bool(
        counts.ready or counts.in_hand or counts.retrying or counts.dead or counts.consumers is not None
    )


def _queue(queue: QueueLook) -> str:
    counts = queue.counts
    if counts is None:
        return f"{queue.name:<34} not declared yet"
    reasons = ", ".join(f"{count} {reason}" for reason, count in queue.reasons.items())
    row = (
        f"{queue.name:<34} {counts.ready:>7} {_told(counts.in_hand):>8} {counts.retrying:>9}"
        f" {counts.dead:>6} {_told(counts.consumers):>10}  {age(counts.oldest_s):<7}"
    )
    return f"{row} {reasons}"


def _unrouted(count: int) -> list[str]:
    return [f"{UNROUTED_QUEUE:<34} {count:>7}  published, and nobody listens to their type"] if count else []


def _work(line: Line) -> str:
    return f"{line.kind:<34} {line.open:>7} {line.in_hand:>8}  {age(line.oldest_s)}"


def _items(work: Sequence[Line]) -> list[str]:
    items = sorted((item for line in work for item in line.items), key=lambda item: not item.is_held)
    rows = [_item(item) for item in items[:ITEMS_SHOWN]]
    more = sum(line.open for line in work) - len(rows)
    return [*rows, f"and {more} more"] if rows and more > 0 else rows


def _item(item: Item) -> str:
    progress = "" if item.progress is None else f"{item.progress:.0%}"
    hand = "*" if item.is_held else " "
    return (
        f"{hand} {item.kind:<11} {item.id[:36]:<36} {item.state:<11} {age(item.since_s):>6} {progress:>5}"
        f"  {item.name[:24]}  {item.says[:SAYS_SHOWN]}"
    )


def _failure(failure: Failure) -> str:
    when = f"{failure.at.astimezone(UTC):%Y-%m-%d %H:%M}"
    return (
        f"{when}  {failure.kind:<11} {failure.id[:36]:<36} {failure.name[:24]}  {failure.error[:SAYS_SHOWN]}"
    )


def _told(count: int | None) -> str:
    return "-" if count is None else str(count)


def age(seconds: float | None) -> str:
    """Return a time as people say it, in its largest unit."""
    if seconds is None:
        return "-"
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f}{unit}"
    return f"{seconds:.0f}s"
