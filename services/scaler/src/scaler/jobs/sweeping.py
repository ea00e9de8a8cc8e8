"""What is left of a canceled job, or of one that was kept for long enough, goes."""

from __future__ import annotations

from datetime import UTC, datetime

from scaler.domain.jobs import Job, base_key
from scaler.domain.pieces import Piece
from shared.errors import ConflictError
from shared.objects.port import ObjectStore
from shared.state import Collection, RevisionError


class BusyError(ConflictError):
    """Some process still has a piece in hand, and would write behind us."""


async def forget_pieces(job_id: str, pieces: Collection[Piece], *, but: str | None = None) -> None:
    """Delete the pieces of a job, but for those of one plan.

    Raises:
        BusyError: Not now: who has one in hand would write its result behind us.
    """
    now = datetime.now(UTC)
    async for document in pieces.each({"job": job_id}):
        if document.body.plan == but:
            continue
        lease = document.record.lease
        if lease is not None and lease.until > now:
            raise BusyError(f"{document.id} is still worked on")
        try:
            await pieces.delete(document)
        except RevisionError as error:
            raise BusyError(f"{document.id} was just changed") from error


async def sweep(job_id: str, job: Job, objects: ObjectStore, pieces: Collection[Piece]) -> None:
    """Delete the pieces of a job, and then what was stored; again from anywhere.

    Raises:
        BusyError: Not now.
    """
    await forget_pieces(job_id, pieces)
    async for stored in objects.list(f"{base_key(job_id, job)}/"):
        await objects.delete(stored.key)
