"""Transfers and their journals, for operators: everybody's, so that reading takes the service's token, too.

Users of Tapis cannot come here; they see how their flights are staged at discovery's ``/api/flights/``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from ingest.domain.transfers import FileRecord, FileState, Rejection, TransferState
from ingest.routes.seeing import Lines, Transfers, TransferView, view
from shared.service.access import authorised
from shared.state import OneOf, Order, Where

router = APIRouter(dependencies=[Depends(authorised)])

Limit = Annotated[int, Query(gt=0, le=1000)]
Sort = Literal[
    "created_at",
    "-created_at",
    "updated_at",
    "-updated_at",
    "name",
    "-name",
    "bytes_total",
    "-bytes_total",
]


class TransferPage(BaseModel):
    """Some transfers and where the next ones begin."""

    transfers: list[TransferView]
    cursor: str | None = Field(description="Give it as `after` to get the next page; null: this is the last.")


class FileView(BaseModel):
    """What became of one file."""

    path: str
    size_bytes: int
    state: FileState
    key: str | None
    sha256: str | None
    attempts: int
    rejected_as: Rejection | None
    reason: str | None
    duplicate_of: str | None
    stored_bytes: int = Field(description="Of a file that is being copied in parts.")


class FilePage(BaseModel):
    """Some lines of a journal and where the next ones begin."""

    files: list[FileView]
    cursor: str | None


@router.get("/api/transfers/", summary="List transfers, newest first")
async def list_transfers(
    transfers: Transfers,
    state: Annotated[list[TransferState] | None, Query(description="One of these; repeatable.")] = None,
    flight_id: str | None = None,
    owner: str | None = None,
    system_id: str | None = None,
    sort: Annotated[Sort, Query(description="A field; with - in front of it, the largest first.")] = (
        "-created_at"
    ),
    limit: Limit = 100,
    after: str | None = None,
) -> TransferPage:
    """Newest first, unless sorted otherwise."""
    given = {"flight_id": flight_id, "owner": owner, "system_id": system_id}
    where: Where = {
        **{name: value for name, value in given.items() if value is not None},
        **({"state": OneOf(tuple(one.value for one in state))} if state else {}),
    }
    page = await transfers.find(where, order=_order(sort), limit=limit, after=after)
    return TransferPage(transfers=[view(document) for document in page.items], cursor=page.cursor)


@router.get("/api/transfers/{transfer}", summary="One transfer")
async def get_transfer(transfer: str, transfers: Transfers) -> TransferView:
    """Written down every second while it is copied."""
    return view(await transfers.load(transfer))


@router.get("/api/transfers/{transfer}/files", summary="What became of each file that was begun")
async def list_files(
    transfer: str,
    transfers: Transfers,
    lines: Lines,
    state: FileState | None = None,
    limit: Limit = 100,
    after: str | None = None,
) -> FilePage:
    """A file without a line was not begun; the last page has no cursor."""
    await transfers.load(transfer)
    where = {"transfer": transfer} | ({"state": state.value} if state else {})
    page = await lines.find(where, limit=limit, after=after)
    return FilePage(files=[_file(document.body) for document in page.items], cursor=page.cursor)


def _order(sort: Sort) -> Order:
    return Order.named(sort.replace("bytes_total", "amounts.bytes_total"))


def _file(line: FileRecord) -> FileView:
    return FileView(
        stored_bytes=line.partial.stored_bytes if line.partial else 0,
        **line.model_dump(include=set(FileView.model_fields) - {"stored_bytes"}),
    )
