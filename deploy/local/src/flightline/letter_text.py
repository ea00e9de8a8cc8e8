"""Dead letters as people read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from flightline.printable import printable
from shared.durations import format_duration
from shared.messaging.port import UNROUTED_QUEUE, DeadLetter

REASONS = {
    "permanent": "trying it again cannot help before its cause is mended",
    "unreadable": "it is no event that this release reads; whoever published it has to mend it",
    "attempts_exhausted": "a passing trouble did not pass within the whole retry ladder",
    "bug": "the handler broke; the trace below belongs in a report",
    "delivery_limit": "processes ended again and again while they held it",
    "unrouted": "nobody listens to its type: whoever published it misspelt it, or a service is not there yet",
}
HEAD = f"{'ID':<32}  {'QUEUE':<28}  {'DIED (UTC)':<19}  {'REASON':<18}  ERROR"
ERROR_SHOWN = 120
_SECOND = timedelta(seconds=1)
_TRACEPARENT_PARTS = 4


def line(letter: DeadLetter) -> str:
    """Return a letter as a row under ``HEAD``."""
    died = f"{letter.died_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if letter.died_at else "-"
    error = " ".join(letter.death.error.split())
    return printable(
        f"{letter.id:<32}  {letter.queue:<28}  {died:<19}  {letter.death.reason:<18}  {error[:ERROR_SHOWN]}"
    )


def whole(letter: DeadLetter, now: datetime) -> str:
    """Return everything that is known of a letter."""
    message, death = letter.message, letter.death
    rows = {
        "id": letter.id,
        "queue": _queue(letter.queue),
        "died": _when(letter.died_at, now),
        "reason": f"{death.reason}: {REASONS.get(death.reason, 'nobody knows')}",
        "attempts": str(death.attempts),
        "error": death.error,
        "event": f"{message.routing_key} {message.event_id}".strip(),
        "trace id": _trace_id(message.body) or "-",
        "headers": ", ".join(f"{name}={value}" for name, value in message.headers.items()) or "-",
    }
    lines = [f"{name:<9} {value}" for name, value in rows.items()]
    if death.trace:
        lines += ["", "trace", *_indented(death.trace)]
    lines += ["", f"body, {len(message.body)} bytes of {message.content_type or 'unknown type'}"]
    lines += _indented(_body(message.body))
    return printable("\n".join(lines))


def _queue(queue: str) -> str:
    who = "nobody wanted" if queue == UNROUTED_QUEUE else f"{queue.partition('.')[0]} could not handle"
    return f"{queue}, so {who} it"


def _when(died_at: datetime | None, now: datetime) -> str:
    if died_at is None:
        return "nobody knows when"
    ago = max(now - died_at, timedelta())
    return f"{died_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {format_duration(ago - ago % _SECOND)} ago"


def _trace_id(body: bytes) -> str | None:
    """Return by what the event is found in traces and logs: W3C's trace id."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    traceparent = document.get("traceparent") if isinstance(document, dict) else None
    parts = traceparent.split("-") if isinstance(traceparent, str) else []
    return parts[1] if len(parts) == _TRACEPARENT_PARTS else None


def _body(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body.decode(errors="backslashreplace")


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.rstrip().splitlines()]
