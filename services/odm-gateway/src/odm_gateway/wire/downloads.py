"""Downloads of products: from the object store itself, or through us."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import PurePosixPath
from urllib.parse import quote

from fastapi import Request, Response

from odm_gateway.domain.assets import media_type
from shared.objects.port import NoUrlError, ObjectStore, Shown, StoredObject
from shared.service import downloads

REDIRECTED_FOR = timedelta(hours=1)
"""Clients that load a large file in parts ask again for each of them, or keep the address meanwhile."""


async def redirect(request: Request, objects: ObjectStore, stored: StoredObject) -> Response | None:
    """Return an answer that sends the client to the store itself, or None where that cannot be."""
    shown = Shown(
        content_disposition=_disposition(PurePosixPath(stored.key).name),
        content_type=media_type(stored.key),
        is_head=request.method == "HEAD",
    )
    try:
        url = await objects.presign(stored.key, expires=REDIRECTED_FOR, shown=shown)
    except NoUrlError:
        return None
    return Response(status_code=302, headers={"Location": url, "Cache-Control": "no-store"})


def download(request: Request, objects: ObjectStore, stored: StoredObject) -> Response:
    """Return the answer to a GET or HEAD of ``stored``."""
    shown = {"Content-Disposition": _disposition(PurePosixPath(stored.key).name)}
    return downloads.download(request, objects, stored, media_type(stored.key), shown)


def _disposition(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]+", name):
        return f"attachment; filename={name}"
    return f"attachment; filename*=UTF-8''{quote(name)}"
