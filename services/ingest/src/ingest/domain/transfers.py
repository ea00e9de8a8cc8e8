"""A transfer: one version of a flight on its way into the object store."""

from __future__ import annotations

import time
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, computed_field

from shared.errors import ConflictError
from shared.events import Event, FlightFound, ImagesStaged, Scale


class Frozen(BaseModel):
    """A value."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TransferState(StrEnum):
    """How far a transfer is."""

    COPYING = "copying"
    PAUSED = "paused"
    NEEDS_LOGIN = "needs_login"
    STAGED = "staged"
    FAILED = "failed"
    CANCELED = "canceled"


UNDER_WAY = frozenset({TransferState.COPYING, TransferState.NEEDS_LOGIN})
"""States in which somebody works, or will by themselves."""


class FileState(StrEnum):
    """What became of a file."""

    COPYING = "copying"
    STAGED = "staged"
    REJECTED = "rejected"


class Rejection(StrEnum):
    """Why a file was left out."""

    NOT_AN_IMAGE = "not-an-image"
    TRUNCATED = "truncated"
    ZERO_BYTES = "zero-bytes"
    DUPLICATE = "duplicate"
    OVER_LIMIT = "over-limit"
    UNREADABLE = "unreadable"
    CHANGED = "changed"


UNLUCKY = frozenset({Rejection.UNREADABLE, Rejection.CHANGED})
"""Reasons that may have passed when the flight is asked for again."""


class SentPart(Frozen):
    """A part that is in the object store."""

    number: int
    size_bytes: int
    sha256: str
    etag: str = ""


class PartialCopy(Frozen):
    """How much of a large file is in the object store."""

    upload: str
    part_bytes: int
    parts: tuple[SentPart, ...] = ()

    @property
    def stored_bytes(self) -> int:
        """Return how many bytes are stored, from the first one on."""
        return sum(part.size_bytes for part in self.parts)


class FileRecord(Frozen):
    """One line of the journal: what is known of one file; a file without a line was not begun."""

    transfer: str
    owner: str = ""
    path: str
    size_bytes: int
    token: str
    state: FileState
    key: str | None = None
    sha256: str | None = None
    attempts: int = 0
    """How often copying it failed."""
    rejected_as: Rejection | None = None
    reason: str | None = None
    duplicate_of: str | None = None
    """Path of the file with the same content that was kept."""
    partial: PartialCopy | None = None

    @property
    def is_done(self) -> bool:
        """Return whether the file needs no further work."""
        return self.state is not FileState.COPYING


class Staged(Frozen):
    """What came out of a transfer."""

    prefix: str
    manifest: str
    image_count: int
    total_bytes: int
    rejected_count: int = 0
    unlucky_count: int = 0
    """Of the rejected files, those that may be readable another time."""


class Amounts(Frozen):
    """How much there is to do, and how much of it is done."""

    files_total: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    read_bytes: int = 0
    """Of what is done, what was read from the source."""
    reused_bytes: int = 0
    """Of what is done, what the store copied from flights that it had."""
    rejected: dict[Rejection, int] = {}
    bytes_per_s: float = 0.0
    """How fast the source is read."""

    @property
    def eta_s(self) -> float | None:
        """Return how long the rest will take; None: nobody knows."""
        left_bytes = self.bytes_total - self.bytes_done
        return left_bytes / self.bytes_per_s if self.bytes_per_s > 0 else None


class Transfer(Frozen):
    """One version of one flight, and everybody who asked for it."""

    asks: tuple[Event[FlightFound], ...]
    """Each request for this version once, oldest first; they differ in options and rerun."""
    told: tuple[int, ...] = ()
    """Reruns whose outcome was told."""
    state: TransferState = TransferState.COPYING
    attempt: int = 0
    due_s: float = 0.0
    """Not to be worked on before this moment, in seconds since 1970."""
    amounts: Amounts = Amounts()
    staged: Staged | None = None
    error: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def flight(self) -> FlightFound:
        """Return the flight as it was asked for last."""
        return self.asks[-1].data

    @computed_field  # type: ignore[prop-decorator]
    @property
    def flight_id(self) -> str:
        """Return the flight's id; kept, like those below, to search by."""
        return self.flight.flight_id

    @computed_field  # type: ignore[prop-decorator]
    @property
    def owner(self) -> str:
        """Return whose flight it is."""
        return self.flight.owner

    @computed_field  # type: ignore[prop-decorator]
    @property
    def system_id(self) -> str:
        """Return the storage system that it lies on."""
        return self.flight.system_id

    @computed_field  # type: ignore[prop-decorator]
    @property
    def name(self) -> str:
        """Return what people call the flight."""
        return self.flight.name


def transfer_id(flight: FlightFound) -> str:
    """Return the id of the transfer of this version."""
    return f"{flight.flight_id}.{flight.version}"


def base_key(flight: FlightFound) -> str:
    """Return where a version lies in the object store."""
    return f"staging/{flight.flight_id}/{flight.version}"


def asked(transfer: Transfer, event: Event[FlightFound], now: datetime) -> Transfer:
    """Return the transfer with one more request.

    One that failed or was canceled is tried anew, and one without files that could not be read then.
    """
    if any(ask.data.rerun == event.data.rerun for ask in transfer.asks):
        return transfer
    asks = (*transfer.asks, event)
    is_over = transfer.state in (TransferState.FAILED, TransferState.CANCELED)
    if is_over or (transfer.staged and transfer.staged.unlucky_count):
        return Transfer(asks=asks, told=transfer.told, created_at=transfer.created_at, updated_at=now)
    return transfer.model_copy(update={"asks": asks, "updated_at": now})


def untold(transfer: Transfer) -> tuple[Event[FlightFound], ...]:
    """Return the requests whose outcome was not told yet."""
    return tuple(ask for ask in transfer.asks if ask.data.rerun not in transfer.told)


def images_staged(ask: Event[FlightFound], staged: Staged) -> ImagesStaged:
    """Return what to tell whoever asked."""
    flight = ask.data
    return ImagesStaged(
        flight_id=flight.flight_id,
        version=flight.version,
        name=flight.name,
        prefix=staged.prefix,
        manifest=staged.manifest,
        image_count=staged.image_count,
        total_bytes=staged.total_bytes,
        scale=Scale(requested=flight.options.scale),
        options=flight.options,
        rerun=flight.rerun,
    )


def begun(transfer: Transfer, amounts: Amounts, now: datetime) -> Transfer | None:
    """Return the transfer as being copied, and how far; None: it is not to be copied any more."""
    if transfer.state not in UNDER_WAY:
        return None
    update = {"state": TransferState.COPYING, "amounts": amounts, "error": None, "updated_at": now}
    return transfer.model_copy(update=update)


def paused(transfer: Transfer, now: datetime) -> Transfer:
    """Return the transfer as waiting for ``resumed``.

    Raises:
        ConflictError: It is over.
    """
    if transfer.state is TransferState.PAUSED:
        return transfer
    _check(transfer, UNDER_WAY, "paused")
    return transfer.model_copy(update={"state": TransferState.PAUSED, "updated_at": now})


def resumed(transfer: Transfer, now: datetime) -> Transfer:
    """Return the transfer as going on.

    Raises:
        ConflictError: It is over.
    """
    if transfer.state in UNDER_WAY:
        return transfer
    _check(transfer, {TransferState.PAUSED}, "resumed")
    return _due_now(transfer, now)


def retried(transfer: Transfer, now: datetime) -> Transfer:
    """Return the transfer as tried again, now, with all attempts before it; whoever asked last hears of it.

    Raises:
        ConflictError: Nothing of it failed.
    """
    if transfer.state in UNDER_WAY:
        return _due_now(transfer, now)
    _check(transfer, {TransferState.FAILED}, "retried")
    told = tuple(rerun for rerun in transfer.told if rerun != transfer.flight.rerun)
    return _due_now(transfer.model_copy(update={"told": told}), now)


def _due_now(transfer: Transfer, now: datetime) -> Transfer:
    update = {
        "state": TransferState.COPYING,
        "attempt": 0,
        "due_s": time.time(),
        "error": None,
        "updated_at": now,
    }
    return transfer.model_copy(update=update)


def _check(transfer: Transfer, states: frozenset[TransferState] | set[TransferState], what: str) -> None:
    if transfer.state not in states:
        hint = "; ask for the flight again" if transfer.state in _ENDED else ""
        raise ConflictError(f"a transfer that is {transfer.state.value} cannot be {what}{hint}")


_ENDED = frozenset({TransferState.STAGED, TransferState.FAILED, TransferState.CANCELED})
