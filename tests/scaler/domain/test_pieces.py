from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from scaler.domain.asks import Asks
from scaler.domain.jobs import Image, Job, JobKind
from scaler.domain.pieces import Outcome, Piece, PieceState, cut, piece_id, reopened, reusable

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def job(minutes: float = 0) -> Job:
    at = NOW + timedelta(minutes=minutes)
    return Job(kind=JobKind.FLIGHT, name="n", asks=Asks(), source="s3://b/m", created_at=at, updated_at=at)


def images(count: int) -> tuple[Image, ...]:
    return tuple(Image(path=f"{number:06}.jpg", key="k", sha256=f"{number:064x}") for number in range(count))


def pieces(count: int, known: dict[str, Outcome] | None = None, minutes: float = 0) -> list[Piece]:
    return list(cut("j", job(minutes), "plan", images(count), known=known or {}, made_s=0))


def scaled(image: Image) -> Outcome:
    return Outcome(path=image.path, source_bytes=1, source_sha256=image.sha256, key="out", size_bytes=2)


@pytest.mark.parametrize(
    ("count", "length"), [(1, 1), (200, 1), (201, 2), (1000, 5), (4000, 20), (10_000, 20)]
)
def test_every_image_is_in_one_piece(count: int, length: int) -> None:
    found = pieces(count)
    assert Counter(image.path for piece in found for image in piece.images) == Counter(
        image.path for image in images(count)
    )
    assert max(len(piece.images) for piece in found) == length
    assert len({piece_id(one.job, one.plan, one.number) for one in found}) == len(found)


def test_a_small_job_does_not_wait_for_all_of_a_large_one() -> None:
    large, small = pieces(10_000), pieces(5, minutes=2)
    order = sorted([*large, *small], key=lambda piece: piece.turn_s)
    behind = order.index(small[-1])
    assert 5 < behind < 30
    assert order.index(small[0]) > 0


def test_what_is_known_needs_no_work() -> None:
    known = {image.path: scaled(image) for image in images(3)}
    states = [piece.state for piece in pieces(4, known)]
    assert states == [PieceState.DONE] * 3 + [PieceState.OPEN]


def test_results_are_reused_for_the_same_content_under_the_same_path_only() -> None:
    one, other = images(2)
    piece = pieces(1)[0].model_copy(update={"images": (one, other), "outcomes": (scaled(one), scaled(other))})
    listed = {one.path: one, other.path: other.model_copy(update={"sha256": "0" * 64})}
    assert [outcome.path for outcome in reusable(piece, listed)] == [one.path]
    nobody_knows = one.model_copy(update={"sha256": None})
    assert list(reusable(piece, {one.path: nobody_knows})) == []


def test_what_was_rejected_is_tried_again_on_demand() -> None:
    image = images(1)[0]
    rejected = Outcome(path=image.path, source_bytes=1, code="truncated", reason="cut")
    done = pieces(1)[0].model_copy(update={"outcomes": (rejected,), "state": PieceState.DONE})
    again = reopened(done, forgets_rejected=True)
    assert reopened(done) is None
    assert again is not None
    assert (again.state, again.left, done.amounts.rejected) == (PieceState.OPEN, (image,), {"truncated": 1})
