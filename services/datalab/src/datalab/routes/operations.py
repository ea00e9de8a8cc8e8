"""Operations of a session: ask for one, read, wait, cancel, retry, delete."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.status import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from datalab.clock import now_us
from datalab.domain.asked import UNFINISHED, AskedOperation, ShownOperation
from datalab.domain.sessions import DataSession
from datalab.laboratory import Laboratory
from datalab.large_data import with_data
from datalab.routes.asking import Fields, Lab, Number, User
from datalab.waiting import AT_MOST_S
from datalab.wire import fields as wire
from datalab.wire.answers import JsonAnswer
from datalab.wire.errors import RESPONSES, RefusedError, at_fault
from datalab.wire.openapi import body_of
from datalab.wire.paging import Count, envelope, window
from datalab.wire.views import OperationFields, OperationPage, OperationView, operation_json
from shared.errors import NotFoundError
from shared.state import OneOf

router = APIRouter(prefix="/api/datasessions/{session}/operations", tags=["operations"], responses=RESPONSES)

FIXED = "An operation cannot be changed: make another one."
IDS_AT_MOST = 1000


class Ids(BaseModel):
    """Which operations."""

    ids: list[int] = Field(max_length=IDS_AT_MOST)


class Deleted(BaseModel):
    """How many there were of them."""

    deleted: int


@router.get("/", summary="List a session's operations, oldest first", response_model=OperationPage)
async def list_operations(
    request: Request, session: Number, user: User, lab: Lab, limit: Count = None, offset: Count = None
) -> Response:
    """With what is known of each."""
    part = window(limit, offset)
    number = (await lab.sessions.of(user.name, session)).number
    listed = await lab.listing.of([number], lab.base_url(request))
    shown = [one.view for one in listed[part.offset : part.offset + part.limit]]
    return JsonAnswer(envelope(request, lab.base_url(request), part, len(listed), shown))


@router.post(
    "/",
    summary="Ask for an operation",
    status_code=HTTP_201_CREATED,
    response_model=OperationView,
    openapi_extra=body_of(OperationFields),
)
async def create_operation(request: Request, session: Number, user: User, lab: Lab, body: Fields) -> Response:
    """It is computed by and by; what was computed before is there at once."""
    found = await lab.sessions.of(user.name, session)
    name, inputs = _checked(lab, body)
    await _check_room(lab, found)
    operation = AskedOperation(
        number=await lab.sessions.numbers.next("operation"),
        session=found.number,
        owner=user.name,
        name=name,
        input_data=inputs,
        created_us=now_us(),
    )
    asked = await lab.operations.ask(operation, user)
    try:
        await lab.sessions.of(user.name, session)
    except NotFoundError:  # it was deleted meanwhile
        await lab.operations.forget(asked)
        raise
    lab.waiting.stir()
    await lab.sessions.touch(found)
    return JsonAnswer((await lab.shown(request, [asked]))[0], HTTP_201_CREATED)


@router.post(
    "/bulk_delete/",
    summary="Delete several operations",
    response_model=Deleted,
    openapi_extra=body_of(Ids),
)
async def delete_operations(session: Number, user: User, lab: Lab, body: Fields) -> Response:
    """Ids that are not of this session are passed over."""
    found = await lab.sessions.of(user.name, session)
    ids = set(wire.field(body, "ids", wire.numbers))
    if len(ids) > IDS_AT_MOST:
        raise at_fault({"ids": [f"Ensure this field has no more than {IDS_AT_MOST} elements."]})
    wanted = [one for one in await lab.sessions.operations_of([found.number]) if one.number in ids]
    await lab.removals.forget(wanted)
    lab.waiting.stir()
    return JsonAnswer({"deleted": len(wanted)})


@router.get("/{operation}/", summary="Read an operation", response_model=OperationView)
async def read_operation(
    request: Request, session: Number, operation: Number, user: User, lab: Lab
) -> Response:
    """With how far it has come."""
    return await _answer(request, lab, await _found(lab, user.name, session, operation))


@router.put(
    "/{operation}/",
    summary="Refused, unless nothing changes",
    response_model=OperationView,
    openapi_extra=body_of(OperationFields),
)
async def replace_operation(
    request: Request, session: Number, operation: Number, user: User, lab: Lab, body: Fields
) -> Response:
    """An operation is what was asked for; another one is made anew."""
    wire.field(body, "name", wire.text)
    wire.field(body, "input_data", wire.mapping)
    return await change_operation(request, session, operation, user, lab, body)


@router.patch(
    "/{operation}/",
    summary="Refused, unless nothing changes",
    response_model=OperationView,
    openapi_extra=body_of(OperationFields),
)
async def change_operation(
    request: Request, session: Number, operation: Number, user: User, lab: Lab, body: Fields
) -> Response:
    """An operation is what was asked for; another one is made anew."""
    found = await _found(lab, user.name, session, operation)
    was = {"name": found.name, "input_data": found.input_data}
    if changed := [field for field, value in was.items() if body.get(field, value) != value]:
        raise at_fault({field: [FIXED] for field in changed})
    return await _answer(request, lab, found)


@router.delete(
    "/{operation}/",
    summary="Delete an operation",
    status_code=HTTP_204_NO_CONTENT,
    response_class=Response,
)
async def delete_operation(session: Number, operation: Number, user: User, lab: Lab) -> Response:
    """What is being computed for it alone is stopped."""
    await lab.operations.forget(await _found(lab, user.name, session, operation))
    lab.waiting.stir()
    return Response(status_code=HTTP_204_NO_CONTENT)


@router.get("/{operation}/wait/", summary="Wait for an operation to end", response_model=OperationView)
async def wait_for_operation(
    request: Request,
    session: Number,
    operation: Number,
    user: User,
    lab: Lab,
    timeout: Annotated[  # noqa: ASYNC109 - it is the client's word
        float, Query(ge=0, le=AT_MOST_S, description="In seconds.")
    ] = 30.0,
) -> Response:
    """The answer comes when it has ended, or as it is at the timeout."""
    within_s = timeout if math.isfinite(timeout) else 0.0

    async def look() -> ShownOperation:
        found = await _found(lab, user.name, session, operation)
        (shown,) = await lab.operations.shown([found], base_url=lab.base_url(request))
        return shown

    found = await _found(lab, user.name, session, operation)
    ended = await lab.waiting.until_ended(found, look, within_s)
    (whole,) = await with_data(lab.links.objects, [ended])
    return JsonAnswer(operation_json(whole))


@router.post("/{operation}/cancel/", summary="Stop an operation", response_model=OperationView)
async def cancel_operation(
    request: Request, session: Number, operation: Number, user: User, lab: Lab
) -> Response:
    """One that has ended stays as it is."""
    found = await _found(lab, user.name, session, operation)
    cancelled = await lab.operations.cancel(found)
    lab.waiting.stir()
    return await _answer(request, lab, cancelled)


@router.post("/{operation}/retry/", summary="Compute an operation again", response_model=OperationView)
async def retry_operation(
    request: Request, session: Number, operation: Number, user: User, lab: Lab
) -> Response:
    """One that failed or was cancelled; others stay as they are."""
    found = await _found(lab, user.name, session, operation)
    again = await lab.operations.retry(found, user)
    lab.waiting.stir()
    return await _answer(request, lab, again)


async def _found(lab: Laboratory, owner: str, session: int, operation: int) -> AskedOperation:
    return await lab.sessions.operation(await lab.sessions.of(owner, session), operation)


async def _answer(request: Request, lab: Laboratory, operation: AskedOperation) -> Response:
    return JsonAnswer((await lab.shown(request, [operation]))[0])


def _checked(lab: Laboratory, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name and the inputs of an operation that there is.

    Raises:
        RefusedError: There is none of this name, or the inputs do not suit it.
    """
    name = wire.field(body, "name", wire.text)
    if name not in lab.registry:
        raise at_fault({"name": [f'"{name}" is not a valid choice.']})
    inputs = wire.field(body, "input_data", wire.mapping)
    wire.validated(lab.registry[name].inputs, inputs, "input_data")
    return name, inputs


async def _check_room(lab: Laboratory, session: DataSession) -> None:
    at_most, documents = lab.settings.max_operations, lab.sessions.asked
    if await documents.count({"session": session.number}) >= at_most:
        raise RefusedError(f"This session has {at_most} operations: delete some first.", status=429)
    unfinished = lab.settings.max_unfinished
    if await documents.count({"owner": session.owner, "state": OneOf(UNFINISHED)}) >= unfinished:
        raise RefusedError(
            f"You have {unfinished} operations that have not ended: wait for some.",
            status=429,
            headers={"Retry-After": "30"},
        )
