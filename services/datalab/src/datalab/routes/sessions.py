"""Sessions: list, make, read, change, delete."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.status import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from datalab.domain.sessions import DataSession
from datalab.laboratory import Laboratory
from datalab.routes.asking import Fields, Lab, Number, User
from datalab.sessions import Filter
from datalab.wire import fields as wire
from datalab.wire.answers import JsonAnswer
from datalab.wire.errors import RESPONSES
from datalab.wire.openapi import body_of
from datalab.wire.paging import Count, Moment, envelope, moment_us, window
from datalab.wire.views import SessionChange, SessionFields, SessionPage, SessionView, session_json
from shared.state import Between

router = APIRouter(prefix="/api/datasessions", tags=["sessions"], responses=RESPONSES)


class SessionQuery(BaseModel):
    """Which of your sessions."""

    limit: Count = None
    offset: Count = None
    name: str | None = Field(default=None, description="Any part of it, in letters of either case.")
    name_exact: str | None = None
    user: str | None = Field(default=None, description="Any part of the owner's name.")
    user_exact: str | None = None
    created_after: Moment = None
    created_before: Moment = None
    modified_after: Moment = None
    modified_before: Moment = None

    def is_about(self, user: str) -> bool:
        """Return whether sessions of ``user`` may be among those."""
        return (self.user or "").lower() in user.lower() and self.user_exact in (None, "", user)

    def filter(self, owner: str) -> Filter:
        """Return what is wanted of a user's sessions."""
        return Filter(
            owner=owner,
            name=self.name or None,
            name_exact=self.name_exact or None,
            created=_between("created", self.created_after, self.created_before),
            modified=_between("modified", self.modified_after, self.modified_before),
        )


@router.get("/", summary="List your sessions, last modified first", response_model=SessionPage)
async def list_sessions(
    request: Request, user: User, lab: Lab, query: Annotated[SessionQuery, Query()]
) -> Response:
    """Each with all its operations."""
    part = window(query.limit, query.offset)
    if not query.is_about(user.name):
        return JsonAnswer(envelope(request, lab.base_url(request), part, 0, []))
    total, found = await lab.sessions.page(query.filter(user.name), limit=part.limit, offset=part.offset)
    shown = await with_operations(request, lab, found)
    return JsonAnswer(envelope(request, lab.base_url(request), part, total, shown))


@router.post(
    "/",
    summary="Make a session",
    status_code=HTTP_201_CREATED,
    response_model=SessionView,
    openapi_extra=body_of(SessionFields),
)
async def create_session(user: User, lab: Lab, body: Fields) -> Response:
    """With a name, and the files to work on."""
    name = wire.field(body, "name", wire.text)
    items = wire.optional(body, "input_data", wire.items) or []
    session = await lab.sessions.create(user.name, name, items)
    return JsonAnswer(session_json(session.model_dump(), []), HTTP_201_CREATED)


@router.get("/{session}/", summary="Read a session", response_model=SessionView)
async def read_session(request: Request, session: Number, user: User, lab: Lab) -> Response:
    """With all its operations."""
    return await _answer(request, lab, await lab.sessions.read(user.name, session))


@router.put(
    "/{session}/",
    summary="Name a session, and add input data",
    response_model=SessionView,
    openapi_extra=body_of(SessionFields),
)
async def replace_session(request: Request, session: Number, user: User, lab: Lab, body: Fields) -> Response:
    """Input data that is there stays; items that are not there yet are added."""
    name = wire.field(body, "name", wire.text)
    return await _change(request, lab, user.name, session, name, body)


@router.patch(
    "/{session}/",
    summary="Rename a session, or add input data",
    response_model=SessionView,
    openapi_extra=body_of(SessionChange),
)
async def change_session(request: Request, session: Number, user: User, lab: Lab, body: Fields) -> Response:
    """Input data that is there stays; items that are not there yet are added."""
    name = wire.optional(body, "name", wire.text)
    return await _change(request, lab, user.name, session, name, body)


@router.delete(
    "/{session}/",
    summary="Delete a session and what is in it",
    status_code=HTTP_204_NO_CONTENT,
    response_class=Response,
)
async def delete_session(session: Number, user: User, lab: Lab) -> Response:
    """What is being computed for it alone is stopped."""
    await lab.sessions.remove(user.name, session)
    return Response(status_code=HTTP_204_NO_CONTENT)


async def with_operations(
    request: Request, lab: Laboratory, found: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return stored sessions as JSON, each with its operations."""
    operations: dict[int, list[Any]] = defaultdict(list)
    for one in await lab.listing.of([body["number"] for body in found], lab.base_url(request)):
        operations[one.session].append(one.view)
    return [session_json(body, operations[body["number"]]) for body in found]


async def _change(
    request: Request, lab: Laboratory, owner: str, session: int, name: str | None, body: dict[str, Any]
) -> Response:
    items = wire.optional(body, "input_data", wire.items)
    return await _answer(request, lab, await lab.sessions.change(owner, session, name=name, items=items))


async def _answer(request: Request, lab: Laboratory, session: DataSession) -> Response:
    listed = await lab.listing.of([session.number], lab.base_url(request))
    return JsonAnswer(session_json(session.model_dump(), await lab.wholly(request, listed)))


def _between(name: str, after: str | None, before: str | None) -> Between | None:
    low, high = moment_us(f"{name}_after", after), moment_us(f"{name}_before", before)
    if low is None and high is None:
        return None
    return Between(low, None if high is None else high + 1)
