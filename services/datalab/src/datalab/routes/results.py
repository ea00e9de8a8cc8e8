"""Results of a store that nobody else serves: by URLs that this service signed, to anybody who has one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from datalab.execution.links import PATH, Links
from datalab.wire.errors import RESPONSES
from shared.errors import NotFoundError
from shared.objects.keys import is_key
from shared.objects.port import ObjectStore, StoredObject
from shared.service.downloads import download

router = APIRouter(tags=["results"], responses=RESPONSES)

_MEDIA_TYPES: Mapping[str, str] = {
    ".fits": "application/fits",
    ".fz": "application/fits",
    ".gz": "application/gzip",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".tif": "image/tiff",
}
_SHOWN = frozenset({".jpg", ".json"})
"""What browsers show; the rest is saved."""


@router.head(f"/{PATH}/{{key:path}}", include_in_schema=False)
@router.get(f"/{PATH}/{{key:path}}", summary="Download a result", response_class=Response)
async def read_result(key: str, request: Request) -> Response:
    """Answer with the content of an object whose URL was signed here and has not expired."""
    links: Links = request.state.links
    objects: ObjectStore = request.state.objects
    unknown = NotFoundError("There is no such result, or its link has expired: read the operation again.")
    if not is_key(key) or not links.is_genuine(key, dict(request.query_params)):
        raise unknown
    stored = await objects.stat(key)
    if stored is None:
        raise unknown
    kind = _MEDIA_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")
    return download(request, objects, stored, kind, _headers(stored))


def _headers(stored: StoredObject) -> dict[str, str]:
    path = PurePosixPath(stored.key)
    how = "inline" if path.suffix in _SHOWN else "attachment"
    return {
        "Content-Disposition": f"{how}; filename*=UTF-8''{quote(path.name)}",
        "Cache-Control": "private, max-age=86400",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }
