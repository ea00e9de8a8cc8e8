"""Files that users bring."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, Field
from starlette.status import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from datalab.clock import written
from datalab.domain.uploads import Upload
from datalab.routes.asking import Lab, Number, User
from datalab.wire.answers import JsonAnswer
from datalab.wire.errors import RESPONSES
from datalab.wire.multipart import FormFile
from datalab.wire.openapi import file_body
from datalab.wire.paging import Count, envelope, window

router = APIRouter(prefix="/api/uploads", tags=["uploads"], responses=RESPONSES)


class UploadView(BaseModel):
    """A file, as input data names it."""

    id: int
    basename: str
    source: str = Field(description="`upload`: with the basename, this is what operations take.")
    size_bytes: int
    sha256: str
    media_type: str
    created: AwareDatetime


class UploadPage(BaseModel):
    """Some of your files, newest first."""

    count: int
    next: str | None
    previous: str | None
    quota_bytes: int
    used_bytes: int
    results: list[UploadView]


@router.get("/", summary="List your files, newest first", response_model=UploadPage)
async def list_uploads(
    request: Request, user: User, lab: Lab, limit: Count = None, offset: Count = None
) -> Response:
    """With what they come to."""
    part, found = window(limit, offset), await lab.uploads.of(user.name)
    shown = [_json(upload) for upload in found[part.offset : part.offset + part.limit]]
    used_bytes = sum(upload.size_bytes for upload in found)
    page = envelope(request, lab.base_url(request), part, len(found), shown)
    return JsonAnswer({**page, "quota_bytes": lab.uploads.quota_bytes, "used_bytes": used_bytes})


@router.post(
    "/",
    summary="Bring a FITS file or a TIFF",
    status_code=HTTP_201_CREATED,
    response_model=UploadView,
    responses={200: {"model": UploadView, "description": "It was there already."}},
    openapi_extra=file_body(),
)
async def upload(request: Request, user: User, lab: Lab) -> Response:
    """One file, in the field `file`."""
    form = FormFile(request)
    try:
        found, is_new = await lab.uploads.add(user.name, await form.name(), form.content())
    finally:
        await form.skip()
    return JsonAnswer(_json(found), HTTP_201_CREATED if is_new else 200)


@router.get("/{upload}/", summary="Tell of a file", response_model=UploadView)
async def read_upload(upload: Number, user: User, lab: Lab) -> Response:
    """Not its content."""
    return JsonAnswer(_json(await lab.uploads.get(user.name, upload)))


@router.delete(
    "/{upload}/", summary="Delete a file", status_code=HTTP_204_NO_CONTENT, response_class=Response
)
async def delete_upload(upload: Number, user: User, lab: Lab) -> Response:
    """What was computed from it stays."""
    await lab.uploads.remove(user.name, upload)
    return Response(status_code=HTTP_204_NO_CONTENT)


def _json(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.number,
        "basename": upload.basename,
        "source": "upload",
        "size_bytes": upload.size_bytes,
        "sha256": upload.sha256,
        "media_type": upload.media_type,
        "created": written(upload.created_us),
    }
