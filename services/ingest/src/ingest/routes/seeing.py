"""Transfers as HTTP clients see them, and what routes need to look at them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from pydantic import AwareDatetime, BaseModel, Field

from ingest.domain.transfers import UNDER_WAY, FileRecord, Rejection, Transfer, TransferState
from shared.state import Collection, Document


class TransferView(BaseModel):
    """A transfer and how far it is."""

    id: str
    flight_id: str
    version: str
    name: str
    owner: str
    system_id: str
    source: str
    state: TransferState
    image_count: int
    files_total: int = Field(description="Images and sidecars; 0 until the source was listed.")
    files_done: int
    files_rejected: int
    rejected: dict[Rejection, int] = Field(description="Files left out, by reason.")
    bytes_total: int
    bytes_done: int
    read_bytes: int = Field(description="Read from the source by the last attempt.")
    reused_bytes: int = Field(description="Copied within the object store by the last attempt.")
    bytes_per_s: float
    eta_s: float | None = Field(description="Seconds until all is staged; null: nobody knows.")
    attempt: int
    next_attempt_at: AwareDatetime | None
    error: str | None
    manifest: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


def view(document: Document[Transfer]) -> TransferView:
    """Return a transfer for clients."""
    transfer, flight, amounts = document.body, document.body.flight, document.body.amounts
    is_going_on = transfer.state is TransferState.COPYING
    return TransferView(
        id=document.id,
        flight_id=flight.flight_id,
        version=flight.version,
        name=flight.name,
        owner=flight.owner,
        system_id=flight.system_id,
        source=flight.source,
        state=transfer.state,
        image_count=flight.image_count,
        files_rejected=sum(amounts.rejected.values()),
        eta_s=amounts.eta_s if is_going_on else None,
        attempt=transfer.attempt,
        next_attempt_at=_next_attempt_at(transfer),
        error=transfer.error,
        manifest=transfer.staged.manifest if transfer.staged else None,
        created_at=transfer.created_at,
        updated_at=transfer.updated_at,
        **{
            **amounts.model_dump(),
            "bytes_total": amounts.bytes_total or flight.total_bytes,
            "bytes_per_s": amounts.bytes_per_s if is_going_on else 0.0,
        },
    )


def _next_attempt_at(transfer: Transfer) -> datetime | None:
    if transfer.state not in UNDER_WAY or transfer.error is None:
        return None
    return datetime.fromtimestamp(transfer.due_s, UTC)


def _transfers(request: Request) -> Collection[Transfer]:
    transfers: Collection[Transfer] = request.state.transfers
    return transfers


def _lines(request: Request) -> Collection[FileRecord]:
    lines: Collection[FileRecord] = request.state.journal
    return lines


def _wake(request: Request) -> Callable[[], None]:
    wake: Callable[[], None] = request.state.wake
    return wake


Transfers = Annotated[Collection[Transfer], Depends(_transfers)]
Lines = Annotated[Collection[FileRecord], Depends(_lines)]
Wake = Annotated[Callable[[], None], Depends(_wake)]
