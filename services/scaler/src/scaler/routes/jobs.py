"""Jobs, their images and their results, for operators: everybody's, so that reading takes the token, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from scaler.domain.jobs import JobKind, JobState
from scaler.domain.pieces import Piece, piece_length
from scaler.routes.seeing import JobView, Parts, view
from shared.errors import ConflictError, NotFoundError
from shared.objects.port import ObjectStore
from shared.service.access import authorised
from shared.state import OneOf, Order, Where

router = APIRouter(dependencies=[Depends(authorised)])

Limit = Annotated[int, Query(gt=0, le=1000)]
Sort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name"]


class JobPage(BaseModel):
    """Some jobs and where the next ones begin."""

    jobs: list[JobView]
    cursor: str | None = Field(description="Give it as `after` to get the next page; null: this is the last.")


class ImageState(StrEnum):
    """What became of an image."""

    WAITING = "waiting"
    SCALED = "scaled"
    REJECTED = "rejected"


class ImageView(BaseModel):
    """What became of one image."""

    path: str
    state: ImageState
    source_bytes: int
    source_sha256: str | None
    key: str | None = Field(description="Of the result, in the object store.")
    size_bytes: int
    sha256: str | None
    width: int
    height: int
    code: str | None = Field(description="Why it was rejected, for programs.")
    reason: str | None = Field(description="Why it was rejected, for people.")
    notes: list[str] = Field(description="What of the source is not in the result, or in another form.")


class ImagePage(BaseModel):
    """Some images of a job and where the next ones begin."""

    files: list[ImageView]
    cursor: str | None


@router.get("/api/jobs/", summary="List jobs, newest first")
async def list_jobs(
    parts: Parts,
    state: Annotated[list[JobState] | None, Query(description="One of these; repeatable.")] = None,
    kind: JobKind | None = None,
    flight_id: str | None = None,
    sort: Annotated[Sort, Query(description="A field; with - in front of it, the largest first.")] = (
        "-created_at"
    ),
    limit: Limit = 100,
    after: str | None = None,
) -> JobPage:
    """Newest first, unless sorted otherwise."""
    where: Where = {
        **({"kind": kind.value} if kind else {}),
        **({"flight_id": flight_id} if flight_id is not None else {}),
        **({"state": OneOf(tuple(one.value for one in state))} if state else {}),
    }
    page = await parts.jobs.find(where, order=Order.named(sort), limit=limit, after=after)
    return JobPage(jobs=[view(document) for document in page.items], cursor=page.cursor)


@router.get("/api/jobs/{job}", summary="One job")
async def get_job(job: str, parts: Parts) -> JobView:
    """Written down behind every piece of it."""
    return view(await parts.jobs.load(job))


@router.get("/api/jobs/{job}/files", summary="What became of each image")
async def list_files(
    job: str,
    parts: Parts,
    state: ImageState | None = None,
    limit: Limit = 100,
    after: str | None = None,
) -> ImagePage:
    """By path; a page may be shorter than asked for, and the last one has no cursor."""
    body = (await parts.jobs.load(job)).body
    page = await parts.pieces.find(
        {"job": job, "plan": body.plan},
        order=Order("number"),
        limit=max(1, limit // piece_length(body.amounts.images_total)),
        after=after,
    )
    files = [file for document in page.items for file in _views(document.body)]
    return ImagePage(
        files=[file for file in files if state is None or file.state is state], cursor=page.cursor
    )


@router.get(
    "/api/jobs/{job}/result",
    summary="The scaled image of a job that is about one",
    response_class=StreamingResponse,
    responses={200: {"content": {"image/*": {}}, "description": "The image."}},
)
async def get_result(job: str, parts: Parts) -> StreamingResponse:
    """Kept for `SCALER_KEEP_RESULTS`.

    Raises:
        ConflictError: The job is about a flight, or not done.
        NotFoundError: It was kept for long enough.
    """
    body = (await parts.jobs.load(job)).body
    if body.kind is not JobKind.IMAGE:
        raise ConflictError("the results of a flight are in the object store, where its manifest says")
    if body.result is None or body.result.key is None:
        raise ConflictError(f"the job is {body.state.value}, and has no result")
    objects = parts.loop.objects
    stored = await objects.stat(body.result.key)
    if stored is None:
        raise NotFoundError("the result was kept for long enough")
    return StreamingResponse(
        _chunks(objects, stored.key),
        media_type=stored.content_type,
        headers={
            "Content-Length": str(stored.size_bytes),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(body.name, safe='')}",
            **({"ETag": f'"{stored.sha256}"'} if stored.sha256 else {}),
        },
    )


async def _chunks(objects: ObjectStore, key: str) -> AsyncIterator[bytes]:
    async with objects.open(key) as chunks:
        async for chunk in chunks:
            yield chunk


def _views(piece: Piece) -> list[ImageView]:
    outcomes = {outcome.path: outcome for outcome in piece.outcomes}
    return [
        ImageView(
            state=ImageState.SCALED if outcome.is_scaled else ImageState.REJECTED,
            **outcome.model_dump(),
        )
        if (outcome := outcomes.get(image.path))
        else ImageView(
            path=image.path,
            state=ImageState.WAITING,
            source_bytes=image.size_bytes,
            source_sha256=image.sha256,
            key=None,
            size_bytes=0,
            sha256=None,
            width=0,
            height=0,
            code=None,
            reason=None,
            notes=[],
        )
        for image in piece.images
    ]
