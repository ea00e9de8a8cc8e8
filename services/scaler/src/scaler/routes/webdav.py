"""WebDAV mode over HTTP: how it fares, pause and resume, and what was rejected."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from scaler.domain.raw_images import ImageState, RawImage, retried
from scaler.webdav.mode import WebdavMode
from scaler.webdav.session import Session
from shared.redaction import redact_text
from shared.service.access import authorised
from shared.state import Between, Document, Order, Where

router = APIRouter(tags=["webdav"], dependencies=[Depends(authorised)])

Limit = Annotated[int, Query(gt=0, le=1000)]


class Server(BaseModel):
    """What was found out about the server by trying."""

    honours_if_none_match: bool
    honours_if_match: bool
    hashes_content: bool = Field(description="Whether it hashes what it stored; else that is read back.")
    has_tags: bool
    risks: list[str] = Field(description="What can happen because of what it does not honour.")


class WebdavView(BaseModel):
    """Whether images are looked for, where, and how far that is."""

    state: Literal["off", "on", "paused", "trouble"]
    trouble: str | None = Field(description="What keeps it from working, in words.")
    constants: str = Field(description="Where the constants are read from; empty: only settings count.")
    raw: str | None = Field(description="Folder that images are taken from.")
    unsorted: str | None = Field(description="Folder that scaled images go to.")
    prefixes: list[str] = Field(description="How the names of images to scale begin.")
    every_s: float
    listed_at: AwareDatetime | None = Field(description="When this process last listed the folder.")
    seen: int = Field(description="Images that it saw then.")
    settling: int = Field(description="Of these, those that have not come to rest.")
    waiting: int = Field(description="To be scaled, or tried again.")
    failing: int = Field(description="Of these, those that failed and are tried again later.")
    done: int = Field(description="Scaled, verified, and their originals deleted, within the last week.")
    rejected: int = Field(description="Left where they are, because they cannot be scaled.")
    server: Server | None


class ImageView(BaseModel):
    """One version of one file of the raw folder."""

    id: str
    path: str
    etag: str
    size_bytes: int
    state: ImageState
    rejected_as: str | None
    error: str | None
    attempt: int
    target: str | None = Field(description="Path of the scaled image, once it was found whole on the server.")
    sha256: str | None = Field(description="Of the scaled image.")
    created_at: AwareDatetime
    updated_at: AwareDatetime


class ImagePage(BaseModel):
    """Some images and where the next ones begin."""

    images: list[ImageView]
    cursor: str | None = Field(description="Give it as `after` to get the next page; null: this is the last.")


def _mode(request: Request) -> WebdavMode:
    mode: WebdavMode = request.state.webdav
    return mode


Mode = Annotated[WebdavMode, Depends(_mode)]


@router.get("/api/webdav/", summary="How WebDAV mode fares")
async def get_webdav(mode: Mode) -> WebdavView:
    """The listing is this process's; the counts are those of all processes together."""
    plan, session = mode.plan, mode.session
    look = session.look if session else None
    return WebdavView(
        state=_state(mode),
        trouble=_trouble(mode),
        constants=mode.plans.constants.where,
        raw=plan.raw_url if plan else None,
        unsorted=plan.unsorted if plan else None,
        prefixes=list(plan.prefixes) if plan else [],
        every_s=mode.settings.frequency.total_seconds(),
        listed_at=look.at if look else None,
        seen=look.seen if look else 0,
        settling=look.moving if look else 0,
        waiting=await _count(mode, state=ImageState.WAITING.value),
        failing=await _count(mode, state=ImageState.WAITING.value, attempt=Between(low=1)),
        done=await _count(mode, state=ImageState.DONE.value),
        rejected=await _count(mode, state=ImageState.REJECTED.value),
        server=_server(session) if session else None,
    )


@router.post("/api/webdav/pause", summary="Begin no more images until it is resumed")
async def pause(mode: Mode) -> WebdavView:
    """In all processes, and over restarts; images in hand are finished."""
    await mode.switch(is_paused=True)
    return await get_webdav(mode)


@router.post("/api/webdav/resume", summary="Go on")
async def resume(mode: Mode) -> WebdavView:
    """Look at the folder at once."""
    await mode.switch(is_paused=False)
    return await get_webdav(mode)


@router.get("/api/webdav/images/", summary="Images that were found, newest first")
async def list_images(
    mode: Mode, state: ImageState | None = None, limit: Limit = 100, after: str | None = None
) -> ImagePage:
    """What was done is forgotten after a week."""
    where: Where = {"state": state.value} if state else {}
    return await _page(mode, where, limit, after)


@router.get("/api/rejected/", summary="Images that cannot be scaled, with the reasons")
async def list_rejected(mode: Mode, limit: Limit = 100, after: str | None = None) -> ImagePage:
    """They stay where they are, and are not tried again until they change or somebody asks for it."""
    return await _page(mode, {"state": ImageState.REJECTED.value}, limit, after)


@router.post("/api/rejected/{image}/retry", summary="Try a rejected image again")
async def retry(image: str, mode: Mode) -> ImageView:
    """Perhaps the service has learnt something since; an image that waits is tried now."""
    document = await mode.images.update(image, lambda body: retried(body, datetime.now(UTC)))
    mode.wake()
    return _view(document)


async def _page(mode: WebdavMode, where: Where, limit: int, after: str | None) -> ImagePage:
    newest = Order("created_at", descending=True)
    page = await mode.images.find(where, order=newest, limit=limit, after=after)
    return ImagePage(images=[_view(document) for document in page.items], cursor=page.cursor)


async def _count(mode: WebdavMode, **where: str | Between) -> int:
    """Return how many images of the folder are so."""
    return await mode.images.count({"place": mode.plan.raw_url, **where}) if mode.plan else 0


def _state(mode: WebdavMode) -> Literal["off", "on", "paused", "trouble"]:
    if mode.is_paused:
        return "paused"
    if _trouble(mode):
        return "trouble"
    return "on" if mode.plan else "off"


def _trouble(mode: WebdavMode) -> str | None:
    session = mode.session
    told = mode.trouble or (session and (session.breaker.trouble or session.look.trouble))
    return redact_text(told) if told else None


def _server(session: Session) -> Server:
    habits = session.dav.habits
    return Server(
        honours_if_none_match=habits.honours_if_none_match,
        honours_if_match=habits.honours_if_match,
        hashes_content=habits.hashes_content,
        has_tags=habits.has_tags,
        risks=list(habits.risks),
    )


def _view(document: Document[RawImage]) -> ImageView:
    image = document.body
    return ImageView(
        id=document.id,
        target=image.stored.target if image.stored else None,
        sha256=image.stored.sha256 if image.stored else None,
        **image.model_dump(
            include={
                "path",
                "etag",
                "size_bytes",
                "state",
                "rejected_as",
                "error",
                "attempt",
                "created_at",
                "updated_at",
            }
        ),
    )
