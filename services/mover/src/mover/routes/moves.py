"""The journal of moves, how the mover fares, and its trigger."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field
from starlette.status import HTTP_202_ACCEPTED

from mover.domain.deciding import Why
from mover.domain.moves import Move, MoveState
from mover.domain.reports import Plan, Report
from mover.loops import SortingLoop
from mover.runs import NOT_CONFIGURED, SCHEDULE_ID, Runs
from shared.errors import ConflictError
from shared.service.access import authorised
from shared.state import Document, OneOf, Order, Where

router = APIRouter(dependencies=[Depends(authorised)])

Limit = Annotated[int, Query(gt=0, le=1000)]
Sort = Literal[
    "created_at", "-created_at", "updated_at", "-updated_at", "name", "-name", "size_bytes", "-size_bytes"
]


def _runs(request: Request) -> Runs:
    runs: Runs = request.state.runs
    return runs


def _loop(request: Request) -> SortingLoop:
    loop: SortingLoop = request.state.loop
    return loop


TheRuns = Annotated[Runs, Depends(_runs)]
TheLoop = Annotated[SortingLoop, Depends(_loop)]


class MoveView(BaseModel):
    """What became of one file."""

    id: str
    state: MoveState
    file_id: int
    source: str
    target: str = Field(description="Where it went, or was to go; empty for a file that is left.")
    category: str
    name: str
    size_bytes: int
    why: Why | None = Field(description="Why it was left, for programs.")
    reason: str | None = Field(description="Why it was left, for people.")
    error: str | None = Field(description="What went wrong last, with what is still open.")
    attempts: int
    created_at: AwareDatetime
    updated_at: AwareDatetime


class MovePage(BaseModel):
    """Some lines of the journal and where the next ones begin."""

    moves: list[MoveView]
    cursor: str | None = Field(description="Give it as `after` to get the next page; null: this is the last.")


class Status(BaseModel):
    """What is sorted, and how the last run went."""

    configured: bool
    server: str | None = None
    root: str | None = None
    unsorted: str | None = None
    parent: str | None = None
    last: Report | None = Field(default=None, description="What the last run came to, of whichever process.")
    trouble: str | None = Field(default=None, description="Why nothing can be sorted just now.")
    failures: int = Field(default=0, description="Runs in a row that failed; each waits longer.")


class Asked(BaseModel):
    """A run was asked for."""

    asked: Literal[True] = True


@router.get("/api/moves/", summary="List what became of files, newest first")
async def list_moves(
    runs: TheRuns,
    state: Annotated[list[MoveState] | None, Query(description="One of these; repeatable.")] = None,
    category: str | None = None,
    why: Why | None = None,
    sort: Annotated[Sort, Query(description="A field; with - in front of it, the largest first.")] = (
        "-created_at"
    ),
    limit: Limit = 100,
    after: str | None = None,
) -> MovePage:
    """With `state=left`: the files that stay where they are though they have a tag of ours, and why."""
    where: Where = {
        **({"state": OneOf(tuple(one.value for one in state))} if state else {}),
        **({"category": category} if category is not None else {}),
        **({"why": why.value} if why else {}),
    }
    page = await runs.moves.find(where, order=Order.named(sort), limit=limit, after=after)
    return MovePage(moves=[_view(document) for document in page.items], cursor=page.cursor)


@router.get("/api/moves/status", summary="What is sorted, and how the last run went")
async def get_status(runs: TheRuns, loop: TheLoop) -> Status:
    """Without passwords."""
    document = await runs.schedule.get(SCHEDULE_ID)
    said = {} if document is None else document.body.model_dump(include={"last", "trouble", "failures"})
    if loop.wanted is None:
        return Status.model_validate({**said, "configured": False, "trouble": loop.trouble})
    rules = loop.wanted.rules
    return Status.model_validate(
        {
            **said,
            "configured": True,
            "server": loop.wanted.name,
            "root": rules.root,
            "unsorted": rules.unsorted,
            "parent": rules.parent,
        }
    )


@router.post(
    "/api/moves/run",
    summary="Sort now",
    status_code=HTTP_202_ACCEPTED,
    responses={200: {"model": Plan, "description": "With `dry_run`: what would be done."}},
    response_model=Asked,
)
async def run(
    runs: TheRuns,
    loop: TheLoop,
    *,
    dry_run: Annotated[bool, Query(description="Only tell what would be done.")] = False,
) -> Asked | Plan | Response:
    """Begin a run at once, whatever went wrong before; `GET /api/moves/status` tells what it came to."""
    if dry_run:
        plan = await runs.plan()
        return Response(plan.model_dump_json(), media_type="application/json")
    if loop.wanted is None:
        raise ConflictError(loop.trouble or NOT_CONFIGURED)
    loop.ask()
    return Asked()


def _view(document: Document[Move]) -> MoveView:
    return MoveView(id=document.id, **document.body.model_dump(include=set(MoveView.model_fields) - {"id"}))
