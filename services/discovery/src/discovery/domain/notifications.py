"""Who is told what of a flight, and in which words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime

from discovery.domain.flights import Frozen
from shared.errors import InvalidInputError
from shared.events import Event, FlightFound, ImagesStaged, TaskCompleted

ADDRESS_AT_MOST_CHARACTERS = 254
KEPT = timedelta(days=30)
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class Occasion(StrEnum):
    """What somebody may want to hear of."""

    FOUND = "found"
    STAGED = "staged"
    COMPLETED = "completed"
    FAILED = "failed"


EVERY = frozenset(Occasion)


class Wishes(Frozen):
    """How a user wants to hear of what."""

    email: str = ""
    webhook: str = ""
    """A URL; it may hold a secret."""
    occasions: frozenset[Occasion] = frozenset()


class SendingState(StrEnum):
    """Whether somebody has heard."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"
    """It cannot be sent, or was tried often enough."""


class Sending(Frozen):
    """One notice on its way to one receiver."""

    channel: Literal["email", "webhook"]
    to: str
    is_trusted: bool = False
    """Named by the operator."""
    state: SendingState = SendingState.WAITING
    attempts: int = 0
    reason: str | None = None


class Notice(Frozen):
    """One thing that happened to a flight, and who hears of it."""

    key: str
    occasion: Occasion
    flight_id: str
    flight_name: str
    version: str = ""
    rerun: int = 0
    owner: str = ""
    image_count: int | None = None
    total_bytes: int | None = None
    task_id: str | None = None
    outputs: str | None = None
    error: str | None = None
    happened_at: AwareDatetime
    sendings: tuple[Sending, ...] = ()
    state: SendingState = SendingState.WAITING
    """What ``reached`` was when it was kept; it is found by that."""
    due_s: float = 0.0

    @property
    def reached(self) -> SendingState:
        """Return how it stands with all receivers: dead if one is, else waiting if one is."""
        states = {one.state for one in self.sendings}
        ordered = (SendingState.DEAD, SendingState.WAITING)
        return next((state for state in ordered if state in states), SendingState.SENT)

    @property
    def waiting(self) -> tuple[Sending, ...]:
        """Return what has still to be sent."""
        return tuple(one for one in self.sendings if one.state is SendingState.WAITING)


def checked_address(text: str) -> str:
    """Return ``text`` if it is one e-mail address and nothing else.

    Raises:
        InvalidInputError: It is none, or would say more to a mail server.
    """
    if len(text) > ADDRESS_AT_MOST_CHARACTERS or not text.isprintable() or not _ADDRESS.fullmatch(text):
        raise InvalidInputError("expected an e-mail address such as name@example.org", field="email")
    return text


def notice_of(event: Event[FlightFound] | Event[ImagesStaged] | Event[TaskCompleted]) -> Notice | None:
    """Return what an event means to people; None: nothing that they are told of."""
    match event.data:
        case FlightFound() as found:
            return Notice(
                key=_key(Occasion.FOUND, found.flight_id, found.version, found.rerun),
                occasion=Occasion.FOUND,
                flight_id=found.flight_id,
                flight_name=found.name,
                version=found.version,
                rerun=found.rerun,
                owner=found.owner,
                image_count=found.image_count,
                total_bytes=found.total_bytes,
                happened_at=event.time,
            )
        case ImagesStaged() as staged:
            return _staged(staged, event.time)
        case TaskCompleted() as ended:
            return _ended(ended, event)


def _staged(staged: ImagesStaged, at: datetime) -> Notice | None:
    if staged.scale.requested and not staged.scale.applied:
        return None
    return Notice(
        key=_key(Occasion.STAGED, staged.flight_id, staged.version, staged.rerun),
        occasion=Occasion.STAGED,
        flight_id=staged.flight_id,
        flight_name=staged.name,
        version=staged.version,
        rerun=staged.rerun,
        image_count=staged.image_count,
        total_bytes=staged.total_bytes,
        happened_at=at,
    )


def _ended(ended: TaskCompleted, event: Event[Any]) -> Notice | None:
    if ended.flight_id is None or ended.kind == "datalab" or ended.status == "canceled":
        return None
    occasion = Occasion(ended.status)
    return Notice(
        key=_key(occasion, event.key),
        occasion=occasion,
        flight_id=ended.flight_id,
        flight_name=ended.name,
        version=ended.version or "",
        rerun=ended.rerun,
        task_id=ended.task_id,
        outputs=ended.outputs,
        error=ended.error,
        happened_at=ended.finished_at,
    )


def _key(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def sendings(occasion: Occasion, wishes: Iterable[tuple[Wishes, bool]]) -> tuple[Sending, ...]:
    """Return whom a notice goes to; ``wishes`` come with whether they are the operator's.

    Who is named twice is told once.
    """
    found: dict[tuple[str, str], Sending] = {}
    for wish, is_trusted in wishes:
        if occasion not in wish.occasions:
            continue
        if wish.email:
            found.setdefault(("email", wish.email.lower()), Sending(channel="email", to=wish.email))
        if wish.webhook:
            found.setdefault(
                ("webhook", wish.webhook),
                Sending(channel="webhook", to=wish.webhook, is_trusted=is_trusted),
            )
    return tuple(found.values())


def sent(notice: Notice, sending: Sending) -> Notice:
    """Return the notice after one receiver has heard it."""
    return _with(notice, sending, state=SendingState.SENT, attempts=sending.attempts + 1, reason=None)


def not_sent(notice: Notice, sending: Sending, reason: str, *, is_final: bool, rungs: int) -> Notice:
    """Return the notice after one receiver could not be told; after so many rungs that is the end."""
    attempts = sending.attempts + 1
    is_dead = is_final or attempts > rungs
    state = SendingState.DEAD if is_dead else SendingState.WAITING
    return _with(notice, sending, state=state, attempts=attempts, reason=reason)


def _with(notice: Notice, sending: Sending, **fields: object) -> Notice:
    changed = tuple(
        one.model_copy(update=fields) if (one.channel, one.to) == (sending.channel, sending.to) else one
        for one in notice.sendings
    )
    after = notice.model_copy(update={"sendings": changed})
    return after.model_copy(update={"state": after.reached})


def due_again_s(notice: Notice, now: datetime, ladder: Sequence[timedelta]) -> float | None:
    """Return when to try again; None: there is nothing left to try."""
    waits = [ladder[min(max(one.attempts, 1), len(ladder)) - 1] for one in notice.waiting]
    return (now + min(waits)).timestamp() if waits else None


def subject(notice: Notice) -> str:
    """Return a notice in a line."""
    name = " ".join(notice.flight_name.split())[:150]
    words = {
        Occasion.FOUND: "was found",
        Occasion.STAGED: "is staged",
        Occasion.COMPLETED: "is processed",
        Occasion.FAILED: "failed",
    }
    return f"Flight {name} {words[notice.occasion]}"


def text(notice: Notice) -> str:
    """Return a notice as the text of an e-mail."""
    lines = [
        ("Flight", notice.flight_name),
        ("Id", notice.flight_id),
        ("Version", notice.version),
        ("Images", notice.image_count),
        ("Size", None if notice.total_bytes is None else f"{notice.total_bytes / 1e6:.1f} MB"),
        ("Task", notice.task_id),
        ("Products", notice.outputs),
        ("Error", notice.error),
        ("When", f"{notice.happened_at:%Y-%m-%d %H:%M:%S} UTC"),
    ]
    told = [f"{name}: {value}" for name, value in lines if value not in (None, "")]
    return "\n".join([f"{subject(notice)}.", "", *told, ""])


def payload(notice: Notice) -> dict[str, Any]:
    """Return a notice as webhooks are told it."""
    told = notice.model_dump(mode="json", exclude={"key", "sendings", "state", "due_s"}, exclude_none=True)
    return {"id": notice.key, "summary": subject(notice)} | told
