"""Questions about one file."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from datalab.analysis.actions import MODULES, AnyAsk
from datalab.analysis.asking import Key
from datalab.routes.asking import Fields, Lab, User
from datalab.wire import fields as wire
from datalab.wire.answers import JsonAnswer
from datalab.wire.errors import RESPONSES, RefusedError
from datalab.wire.openapi import body_of
from shared.errors import PermanentError

router = APIRouter(prefix="/api/analysis", tags=["analysis"], responses=RESPONSES)

NAME_AT_MOST_CHARACTERS = 1024


@router.post(
    "/{action}/",
    summary="Ask something about a file",
    response_model=dict[str, Any] | list[Any],
    openapi_extra=body_of(AnyAsk),
)
async def analyse(request: Request, action: str, user: User, lab: Lab, body: Fields) -> Response:
    """`line-profile`, `source-catalog`, `wcs`, `raw-data`, `get-tif`, `get-jpg` or `centroiding`."""
    if action not in MODULES:
        raise RefusedError(f"Analysis action '{action}' not found")
    ask = {**body, "basename": wire.field(body, "basename", _name)}
    if "source" in body:
        ask["source"] = wire.field(body, "source", _name)
    try:
        answer = await lab.analyses.answer(action, ask, user)
    except RefusedError:
        raise
    except PermanentError as error:
        raise RefusedError(f"{action} Error: {error}") from error
    if isinstance(answer, Key):
        urls = await lab.links.urls([answer.key], lab.base_url(request))
        return JsonAnswer({"tif_url": urls[answer.key]})
    return JsonAnswer(answer)


def _name(value: Any) -> str:
    return wire.text(value, NAME_AT_MOST_CHARACTERS)
