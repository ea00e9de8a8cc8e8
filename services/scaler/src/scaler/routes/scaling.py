"""Scale one image: answered at once, or by a job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scaler.domain.asks import FACTORS, MEDIA_TYPES, Asks, Interpolation, RejectedError, Subsampling
from scaler.domain.jobs import Image, Job, JobKind, JobState
from scaler.jobs.opening import Jobs
from scaler.jobs.reading import shown_source, source_name
from scaler.jobs.scaling import held_bytes
from scaler.routes.bodies import Sent, json_body, media_type, plain_name, sent_image
from scaler.routes.seeing import Chosen, JobView, Parts, view
from shared.errors import NotFoundError, TransientError
from shared.service.access import authorised
from shared.service.faults import ErrorDetail, ErrorResponse

router = APIRouter(dependencies=[Depends(authorised)])

ARRIVES_WITHIN = timedelta(hours=1)
"""A job whose image did not arrive by then fails, and is forgotten."""
JSON = "application/json"

Factor = Annotated[float, Field(ge=FACTORS[0], le=FACTORS[1])]
Quality = Annotated[int, Field(ge=1, le=100)]


class Wish(BaseModel):
    """How an image shall be scaled."""

    model_config = ConfigDict(extra="forbid")

    factor: Factor = 2.0
    interpolation: Interpolation = Interpolation.LINEAR
    quality: Quality | None = Field(
        default=None, description="Of JPEG and lossy WebP; none: a JPEG keeps its own, a WebP gets 90."
    )
    subsampling: Subsampling | None = Field(default=None, description="Of JPEG; none: it keeps its own.")

    @property
    def asks(self) -> Asks:
        """Return it as codecs take it."""
        return Asks(self.factor, self.interpolation, self.quality, self.subsampling)


class SourceWish(Wish):
    """An image that lies elsewhere, and how it shall be scaled."""

    source: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            examples=["s3://flights/north/DJI_0001.JPG"],
            description="URI of the image: `https://`, `s3://`, `davs://` or `file://`, as far as flights may"
            " be read from there.",
        ),
    ]


def _wish(
    factor: Annotated[Factor, Query(description="Of both sides.")] = 2.0,
    interpolation: Interpolation = Interpolation.LINEAR,
    quality: Annotated[Quality | None, Query(description="Of the result, if not that of the image.")] = None,
    subsampling: Annotated[Subsampling | None, Query(description="Of a JPEG, if not its own.")] = None,
) -> Wish:
    return Wish(factor=factor, interpolation=interpolation, quality=quality, subsampling=subsampling)


_IMAGE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_BODIES = {
    "required": True,
    "content": {
        "image/*": _IMAGE,
        "application/octet-stream": _IMAGE,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {"type": "string", "format": "binary"},
                    "factor": {"type": "number"},
                    "interpolation": {"type": "string"},
                    "quality": {"type": "integer"},
                    "subsampling": {"type": "string"},
                },
            }
        },
        JSON: {"schema": SourceWish.model_json_schema()},
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": dict.fromkeys(MEDIA_TYPES.values(), _IMAGE),
        "description": "The scaled image, in the format it came in.",
    },
    202: {"model": JobView, "description": "A job scales it; `Location` is where it is."},
    413: {"model": ErrorResponse, "description": "The image is too large."},
    415: {"model": ErrorResponse, "description": "The body is neither an image, nor a form, nor JSON."},
    422: {
        "model": ErrorResponse,
        "description": "The image cannot be scaled, and `code` says why; or the request is not of the"
        " documented form.",
    },
}


@router.post(
    "/api/scale",
    summary="Scale one image",
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra={"requestBody": _BODIES},
)
async def scale(
    request: Request,
    parts: Parts,
    settings: Chosen,
    wish: Annotated[Wish, Depends(_wish)],
    prefer: Annotated[
        str, Header(description="`respond-async`: answer with a job, however small the image is.")
    ] = "",
) -> Response:
    """Send the image as it is, or as the file of a form, and get it scaled; or name where it lies.

    What is large, named, or sent with `Prefer: respond-async`, becomes a job: 202, and `Location`. Query
    parameters say how to scale what is sent; a form's fields, and a JSON object's, say it for themselves.
    """
    if media_type(request) == JSON:
        return await _named(request, parts)
    is_later = "respond-async" in prefer.lower()
    async with sent_image(request, settings.image_bytes_at_most) as sent:
        asks = _with_fields(wish, sent).asks
        at_once = 0 if is_later else settings.answered_bytes_at_most
        async with parts.budget.lent(held_bytes(_announced_bytes(request, at_once), asks)):
            head, is_whole = await _first(sent.chunks, at_once)
            if is_whole and not is_later:
                return await _answered(request, parts, sent.name, bytes(head), asks)
        return await _kept(parts, sent, bytes(head), asks)


async def _answered(request: Request, parts: Jobs, name: str, content: bytes, asks: Asks) -> Response:
    try:
        scaled = await parts.codecs.scale(content, asks)
    except RejectedError as error:
        return _rejection(request, error)
    return Response(
        scaled.content,
        media_type=MEDIA_TYPES[scaled.format],
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "ETag": f'"{scaled.sha256}"',
            "X-Image-Width": str(scaled.width),
            "X-Image-Height": str(scaled.height),
        },
    )


async def _named(request: Request, parts: Jobs) -> Response:
    wish: SourceWish = await json_body(request, SourceWish)
    await parts.reader.check(wish.source)
    name = plain_name(source_name(wish.source))
    image = Image(path=name, uri=wish.source)
    job = _new_job(name, shown_source(wish.source), image, wish.asks)
    document = await parts.jobs.insert(uuid4().hex, job)
    parts.loop.wake()
    return _told(view(document))


async def _kept(parts: Jobs, sent: Sent, head: bytes, asks: Asks) -> Response:
    """Store what is sent and make a job of it; the job comes first, so that nothing is stored unknown."""
    job_id = uuid4().hex
    key = f"scaler/jobs/{job_id}/source"
    image = Image(path=sent.name, key=key)
    objects = parts.loop.objects
    job = _new_job(sent.name, objects.uri(key), image, asks)
    late_s = (datetime.now(UTC) + ARRIVES_WITHIN).timestamp()
    await parts.jobs.insert(job_id, job.model_copy(update={"due_s": late_s}))
    try:
        stored = await objects.put(key, _chained(head, sent.chunks), content_type="application/octet-stream")
    except BaseException:
        await _forget(parts, job_id)
        raise
    arrived = image.model_copy(update={"size_bytes": stored.size_bytes, "sha256": stored.sha256})
    update = {"upload": arrived, "due_s": 0.0}
    document = await parts.jobs.update(job_id, lambda kept: kept.model_copy(update=update))
    parts.loop.wake()
    return _told(view(document))


async def _forget(parts: Jobs, job_id: str) -> None:
    with suppress(TransientError, NotFoundError):  # else it is forgotten when it is due
        update = {"state": JobState.CANCELED, "due_s": 0.0, "error": "the image did not arrive"}
        await parts.jobs.update(job_id, lambda job: job.model_copy(update=update))


def _new_job(name: str, source: str, image: Image, asks: Asks) -> Job:
    now = datetime.now(UTC)
    return Job(
        kind=JobKind.IMAGE,
        name=name,
        asks=asks,
        source=source,
        upload=image,
        created_at=now,
        updated_at=now,
    )


def _told(seen: JobView) -> JSONResponse:
    headers = {"Location": f"/api/jobs/{seen.id}", "Preference-Applied": "respond-async"}
    return JSONResponse(seen.model_dump(mode="json"), 202, headers=headers)


def _with_fields(wish: Wish, sent: Sent) -> Wish:
    """Return what a form's fields say, where they say something."""
    if not sent.fields:
        return wish
    try:
        return Wish.model_validate({**wish.model_dump(), **sent.fields})
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_context=False)]
        raise RequestValidationError(faults) from error


def _announced_bytes(request: Request, at_most: int) -> int:
    length = request.headers.get("content-length", "")
    return min(int(length), at_most) if length.isdecimal() else at_most


async def _first(chunks: AsyncIterator[bytes], at_most: int) -> tuple[bytearray, bool]:
    """Return what comes first, up to about ``at_most`` bytes, and whether that is all."""
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) > at_most:
            return head, False
    return head, True


async def _chained(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for chunk in rest:
        yield chunk


def _rejection(request: Request, error: RejectedError) -> JSONResponse:
    detail = ErrorDetail(
        code=error.code.replace("-", "_"),
        message=str(error),
        request_id=getattr(request.state, "request_id", ""),
    )
    return JSONResponse(ErrorResponse(error=detail).model_dump(exclude_defaults=True), 422)
