"""Runs of recipes: list, read, cancel, retry, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.status import HTTP_200_OK, HTTP_204_NO_CONTENT

from datalab.domain.runs import Run
from datalab.laboratory import Laboratory
from datalab.recipes.views import RunPage, RunView, run_json, summary_json
from datalab.routes.asking import Lab, Number, User
from datalab.wire.answers import JsonAnswer
from datalab.wire.errors import RESPONSES
from datalab.wire.paging import Count, envelope, window
from shared.state import Where

router = APIRouter(prefix="/api/recipes/runs", tags=["recipes"], responses=RESPONSES)

Id = Annotated[int | None, Query(ge=0, lt=10**15)]


@router.get("/", summary="List your runs, newest first", response_model=RunPage)
async def list_runs(
    request: Request,
    user: User,
    lab: Lab,
    limit: Count = None,
    offset: Count = None,
    session: Id = None,
    recipe: Id = None,
) -> Response:
    """All, or those in a session, or of a recipe."""
    part = window(limit, offset)
    given = {"owner": user.name, "session": session, "recipe": recipe}
    where: Where = {name: value for name, value in given.items() if value is not None}
    total, found = await lab.applying.runs.page(where, limit=part.limit, offset=part.offset)
    return JsonAnswer(envelope(request, lab.base_url(request), part, total, [*map(summary_json, found)]))


@router.get("/{run}/", summary="Read a run", response_model=RunView)
async def read_run(request: Request, run: Number, user: User, lab: Lab) -> Response:
    """With its steps, and the operations that were made of them."""
    return await run_answer(request, lab, await lab.applying.runs.of(user.name, run))


@router.post("/{run}/cancel/", summary="Stop a run and its operations", response_model=RunView)
async def cancel_run(request: Request, run: Number, user: User, lab: Lab) -> Response:
    """One that has ended stays as it is, and so do operations that have."""
    found = await lab.applying.runs.of(user.name, run)
    return await run_answer(request, lab, await lab.applying.cancel(found))


@router.post("/{run}/retry/", summary="Go on with a run that failed", response_model=RunView)
async def retry_run(request: Request, run: Number, user: User, lab: Lab) -> Response:
    """What was completed stays; operations that failed or were cancelled are computed again."""
    found = await lab.applying.runs.of(user.name, run)
    return await run_answer(request, lab, await lab.applying.retry(found, user))


@router.delete(
    "/{run}/", summary="Stop a run and delete it", status_code=HTTP_204_NO_CONTENT, response_class=Response
)
async def delete_run(run: Number, user: User, lab: Lab) -> Response:
    """Its operations stay in the session."""
    await lab.applying.delete(await lab.applying.runs.of(user.name, run))
    return Response(status_code=HTTP_204_NO_CONTENT)


async def run_answer(request: Request, lab: Laboratory, run: Run, status: int = HTTP_200_OK) -> Response:
    """Answer with a run as it is now."""
    live = await lab.applying.running.live(run, lab.base_url(request))
    return JsonAnswer(run_json(run, live), status)
