"""A transfer: one version of a flight on its way into the object store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.events import Event, FlightFound, ImagesStaged, Scale


class Frozen(BaseModel):
    """A value."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TransferState(StrEnum):
    """How far a transfer is."""

    COPYING = "copying"
    STAGED = "staged"
    FAILED = "failed"


class FileState(StrEnum):
    """What became of a file."""

    STAGED = "staged"
    REJECTED = "rejected"


class FileRecord(Frozen):
    """One line of the journal: a file that needs no further work."""

    transfer: str
    path: str
    size_bytes: int
    token: str
    state: FileState
    key: str | None = None
    sha256: str | None = None
    reason: str | None = None


class Staged(Frozen):
    """What came out of a transfer."""

    prefix: str
    manifest: str
    image_count: int
    total_bytes: int
    rejected_count: int = 0


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
    staged: Staged | None = None
    error: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def flight(self) -> FlightFound:
        """Return the flight as it was asked for last."""
        return self.asks[-1].data


def transfer_id(flight: FlightFound) -> str:
    """Return the id of the transfer of this version."""
    return f"{flight.flight_id}.{flight.version}"


def base_key(flight: FlightFound) -> str:
    """Return where a version lies in the object store."""
    return f"staging/{flight.flight_id}/{flight.version}"


def asked(transfer: Transfer, event: Event[FlightFound], now: datetime) -> Transfer:
    """Return the transfer with one more request; a failed one is tried anew."""
    if any(ask.data.rerun == event.data.rerun for ask in transfer.asks):
        return transfer
    asks = (*transfer.asks, event)
    if transfer.state is TransferState.FAILED:
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


def delay_s(failures: int, ladder: Sequence[timedelta]) -> float | None:
    """Return how long to wait after so many failures (1 first); None: it was tried often enough."""
    return ladder[failures - 1].total_seconds() if failures <= len(ladder) else None
