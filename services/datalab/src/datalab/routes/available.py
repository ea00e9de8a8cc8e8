"""Which operations there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from datalab.routes.asking import Lab, User
from datalab.wire.answers import JsonAnswer
from datalab.wire.errors import RESPONSES
from datalab.wizard import description

router = APIRouter(prefix="/api", tags=["operations"], responses=RESPONSES)


@router.get(
    "/available_operations/",
    summary="Tell which operations there are, and what to ask users for",
    response_model=dict[str, dict[str, Any]],
)
async def available_operations(_: User, lab: Lab) -> Response:
    """By name, each as a wizard for it needs to know it."""
    return JsonAnswer({operation.name: description(operation) for operation in lab.registry})
