"""What admins may read of others."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel

from datalab.clock import written
from datalab.domain.sessions import session_id
from datalab.domain.users import User
from datalab.routes.asking import Admin, Lab, Number
from datalab.routes.sessions import with_operations
from datalab.sessions import Filter
from datalab.wire.answers import JsonAnswer
from datalab.wire.errors import RESPONSES, missing
from datalab.wire.paging import Count, envelope, window
from datalab.wire.views import SessionView
from shared.state import Order

router = APIRouter(prefix="/api/admin", tags=["admin"], responses=RESPONSES)


class UserView(BaseModel):
    """Somebody who has an account."""

    username: str
    is_admin: bool
    from_portal: bool
    has_password: bool
    created: AwareDatetime


class UserPage(BaseModel):
    """Some users, newest first."""

    count: int
    next: str | None
    previous: str | None
    results: list[UserView]


class SessionRow(BaseModel):
    """A session of anybody, without what is in it."""

    id: int
    user: str
    name: str
    operation_count: int
    created: AwareDatetime
    accessed: AwareDatetime
    modified: AwareDatetime


class SessionRows(BaseModel):
    """Some sessions, last modified first."""

    count: int
    next: str | None
    previous: str | None
    results: list[SessionRow]


@router.get("/users/", summary="List users, newest first", response_model=UserPage)
async def list_users(
    request: Request, _: Admin, lab: Lab, limit: Count = None, offset: Count = None
) -> Response:
    """Without anything secret."""
    part, found = window(limit, offset), []
    order, seen = Order("created_us", descending=True), 0
    async for document in lab.accounts.users.each({}, order=order):
        seen += 1
        if part.offset < seen <= part.offset + part.limit:
            found.append(_user(document.body))
        if len(found) == part.limit:
            break
    total = await lab.accounts.users.count({})
    return JsonAnswer(envelope(request, lab.base_url(request), part, total, found))


@router.get("/sessions/", summary="List sessions of all users", response_model=SessionRows)
async def list_sessions(
    request: Request,
    _: Admin,
    lab: Lab,
    user: str | None = None,
    name: str | None = None,
    limit: Count = None,
    offset: Count = None,
) -> Response:
    """Last modified first."""
    part, wanted = window(limit, offset), Filter(owner=user or None, name=name or None)
    total, found = await lab.sessions.page(wanted, limit=part.limit, offset=part.offset)
    rows = [await _row(lab, body) for body in found]
    return JsonAnswer(envelope(request, lab.base_url(request), part, total, rows))


@router.get("/sessions/{session}/", summary="Read anybody's session", response_model=SessionView)
async def read_session(request: Request, session: Number, _: Admin, lab: Lab) -> Response:
    """With all its operations."""
    document = await lab.sessions.documents.get(session_id(session))
    if document is None or document.body.removing:
        raise missing("DataSession")
    (shown,) = await with_operations(request, lab, [document.body.model_dump()])
    return JsonAnswer(shown)


async def _row(lab: Lab, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": body["number"],
        "user": body["owner"],
        "name": body["name"],
        "operation_count": await lab.sessions.asked.count({"session": body["number"]}),
        "created": written(body["created_us"]),
        "accessed": written(body["accessed_us"]),
        "modified": written(body["modified_us"]),
    }


def _user(user: User) -> dict[str, Any]:
    return {
        "username": user.name,
        "is_admin": user.is_admin,
        "from_portal": user.from_portal,
        "has_password": bool(user.password_hash),
        "created": written(user.created_us),
    }
