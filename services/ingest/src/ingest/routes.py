"""What ingest answers over HTTP: transfers and their journal."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from ingest.domain.transfers import FileRecord, FileState, Transfer, TransferState, transfer_id
from shared.state import Collection, Document, Order

router = APIRouter()

Limit = Annotated[int, Query(gt=0, le=1000)]


class TransferView(BaseModel):
    """A transfer and how far it is."""

    id: str
    flight_id: str
    version: str
    name: str
    source: str
    state: TransferState
    image_count: int
    files_done: int
    files_rejected: int
    attempt: int
    error: str | None


class TransferPage(BaseModel):
    """Some transfers and where the next ones begin."""

    transfers: list[TransferView]
    cursor: str | None = Field(description="Give it as `after` to get the next page; null: this is the last.")


class FilePage(BaseModel):
    """Some lines of a journal and where the next ones begin."""

    files: list[FileRecord]
    cursor: str | None


def _transfers(request: Request) -> Collection[Transfer]:
    transfers: Collection[Transfer] = request.state.transfers
    return transfers


def _journal(request: Request) -> Collection[FileRecord]:
    journal: Collection[FileRecord] = request.state.journal
    return journal


Transfers = Annotated[Collection[Transfer], Depends(_transfers)]
Journal = Annotated[Collection[FileRecord], Depends(_journal)]


@router.get("/api/transfers/", summary="List transfers, newest first")
async def list_transfers(
    transfers: Transfers, journal: Journal, limit: Limit = 100, after: str | None = None
) -> TransferPage:
    page = await transfers.find({}, order=Order("created_at", descending=True), limit=limit, after=after)
    return TransferPage(
        transfers=[await _view(document, journal) for document in page.items], cursor=page.cursor
    )


@router.get("/api/transfers/{transfer}", summary="One transfer")
async def get_transfer(transfer: str, transfers: Transfers, journal: Journal) -> TransferView:
    return await _view(await transfers.load(transfer), journal)


@router.get("/api/transfers/{transfer}/files", summary="What became of each file")
async def list_files(
    transfer: str,
    transfers: Transfers,
    journal: Journal,
    state: FileState | None = None,
    limit: Limit = 100,
    after: str | None = None,
) -> FilePage:
    await transfers.load(transfer)
    where = {"transfer": transfer} | ({"state": state.value} if state else {})
    page = await journal.find(where, limit=limit, after=after)
    return FilePage(files=[document.body for document in page.items], cursor=page.cursor)


async def _view(document: Document[Transfer], journal: Collection[FileRecord]) -> TransferView:
    transfer, flight = document.body, document.body.flight
    name = transfer_id(flight)
    return TransferView(
        id=document.id,
        flight_id=flight.flight_id,
        version=flight.version,
        name=flight.name,
        source=flight.source,
        state=transfer.state,
        image_count=flight.image_count,
        files_done=await journal.count({"transfer": name}),
        files_rejected=await journal.count({"transfer": name, "state": FileState.REJECTED.value}),
        attempt=transfer.attempt,
        error=transfer.error,
    )
