"""All pieces of a job, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from scaler.domain.pieces import Piece
from shared.state import Collection, Document, Order

PAGE = 50


async def pieces_of(
    pieces: Collection[Piece], job_id: str, plan: str | None = None
) -> AsyncIterator[Document[Piece]]:
    """Iterate over a job's pieces in order: those of one plan, or of all that it ever had."""
    where = {"job": job_id} | ({"plan": plan} if plan is not None else {})
    cursor: str | None = None
    while True:
        page = await pieces.find(where, order=Order("number"), limit=PAGE, after=cursor)
        for document in page.items:
            yield document
        cursor = page.cursor
        if cursor is None:
            return
