"""Pieces of a job: a few images each, so that any number of processes share one job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from scaler.domain.jobs import Amounts, Frozen, Image, Job

PIECES_AIMED_AT = 200
IMAGES_AT_MOST = 20
"""Of one piece: its document, which is written behind each of them, stays small."""
TURN_S = 10.0
"""A job's pieces are due so far apart in the queue that a small job need not wait for all of a large one."""


class PieceState(StrEnum):
    """How far a piece is."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


class Outcome(Frozen):
    """What became of one image: scaled, or rejected with a reason."""

    path: str
    source_bytes: int
    source_sha256: str | None = None
    key: str | None = None
    """Where the result lies; None: it was rejected."""
    size_bytes: int = 0
    sha256: str | None = None
    width: int = 0
    height: int = 0
    notes: tuple[str, ...] = ()
    """What of the source is not in the result, or is there in another form."""
    code: str | None = None
    """Why it was rejected, for programs."""
    reason: str | None = None
    """Why it was rejected, for people."""

    @property
    def is_scaled(self) -> bool:
        """Return whether there is a result."""
        return self.key is not None


class Piece(Frozen):
    """Some images of a job, worked on by one process at a time."""

    job: str
    plan: str
    """Of which listing it is a part."""
    number: int
    images: tuple[Image, ...]
    outcomes: tuple[Outcome, ...] = ()
    state: PieceState = PieceState.OPEN
    attempt: int = 0
    due_s: float = 0.0
    turn_s: float
    """Pieces of all jobs are worked on in this order."""
    made_s: float
    """When it was cut, in seconds since 1970."""
    error: str | None = None

    @property
    def left(self) -> tuple[Image, ...]:
        """Return the images without an outcome."""
        done = {outcome.path for outcome in self.outcomes}
        return tuple(image for image in self.images if image.path not in done)

    @property
    def amounts(self) -> Amounts:
        """Return what of the job's work is done here."""
        rejected: dict[str, int] = {}
        for outcome in self.outcomes:
            if outcome.code is not None:
                rejected[outcome.code] = rejected.get(outcome.code, 0) + 1
        return Amounts(
            images_done=len(self.outcomes),
            bytes_done=sum(outcome.source_bytes for outcome in self.outcomes),
            written_bytes=sum(outcome.size_bytes for outcome in self.outcomes),
            rejected=rejected,
        )


def piece_id(job_id: str, plan: str, number: int) -> str:
    """Return the id of a piece; pieces of a job sort by their numbers."""
    return f"{job_id}/{plan}/{number:06}"


def piece_length(image_count: int) -> int:
    """Return how many images each piece has of a job that has so many."""
    return max(1, min(IMAGES_AT_MOST, -(-image_count // PIECES_AIMED_AT)))


def cut(
    job_id: str,
    job: Job,
    plan: str,
    images: Sequence[Image],
    *,
    known: Mapping[str, Outcome],
    made_s: float,
) -> Iterator[Piece]:
    """Cut a job into pieces; images whose outcome is ``known`` by their path need no work."""
    length = piece_length(len(images))
    begins_s = job.created_at.timestamp()
    for number, start in enumerate(range(0, len(images), length)):
        part = tuple(images[start : start + length])
        outcomes = tuple(known[image.path] for image in part if image.path in known)
        yield Piece(
            job=job_id,
            plan=plan,
            number=number,
            images=part,
            outcomes=outcomes,
            state=PieceState.DONE if len(outcomes) == len(part) else PieceState.OPEN,
            turn_s=begins_s + number * TURN_S,
            made_s=made_s,
        )


def reopened(piece: Piece, *, forgets_rejected: bool = False) -> Piece | None:
    """Return the piece as to be worked on now; None: there is nothing left to do."""
    outcomes = tuple(one for one in piece.outcomes if one.is_scaled or not forgets_rejected)
    if len(outcomes) == len(piece.images) and piece.state is PieceState.DONE:
        return None
    is_done = len(outcomes) == len(piece.images)
    update = {
        "outcomes": outcomes,
        "state": PieceState.DONE if is_done else PieceState.OPEN,
        "attempt": 0,
        "due_s": 0.0,
        "error": None,
    }
    return piece.model_copy(update=update)


def reusable(piece: Piece, images: Mapping[str, Image]) -> Iterator[Outcome]:
    """Iterate over the results of an older piece that are still those of the listed ``images``."""
    for outcome in piece.outcomes:
        image = images.get(outcome.path)
        is_same = image is not None and image.sha256 is not None and image.sha256 == outcome.source_sha256
        if outcome.is_scaled and is_same:
            yield outcome
