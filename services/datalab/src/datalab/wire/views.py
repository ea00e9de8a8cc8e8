"""Sessions and operations as clients see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from datalab.clock import written
from datalab.domain.asked import CANCELLED_MESSAGE, ShownOperation, State
from datalab.domain.news import News

Status = Literal["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"]


class OperationView(BaseModel):
    """An operation and how far it has come."""

    id: int
    name: str
    status: Status = Field(description="A cancelled operation is FAILED, and its message says so.")
    message: str
    operation_progress: float = Field(ge=0, le=1)
    output: dict[str, Any] | None = Field(
        description="`output_files` or `output_data`, with signed URLs. Large data stand there where one"
        " session or operation is read, up to 8 MiB in an answer; otherwise `data_url` leads to them."
    )
    input_data: dict[str, Any]
    created: AwareDatetime


class SessionView(BaseModel):
    """A session and all that is in it."""

    id: int
    operations: list[OperationView]
    user: str
    name: str
    input_data: list[Any]
    created: AwareDatetime
    accessed: AwareDatetime
    modified: AwareDatetime


class _Page(BaseModel):
    count: int
    next: str | None
    previous: str | None


class SessionPage(_Page):
    """Some sessions, last modified first."""

    results: list[SessionView]


class OperationPage(_Page):
    """Some operations, oldest first."""

    results: list[OperationView]


class SessionFields(BaseModel):
    """What a session is made of."""

    name: str = Field(min_length=1, max_length=256)
    input_data: list[Any] = Field(default=[], description="Files to work on, and whatever else.")


class SessionChange(BaseModel):
    """What may change; `input_data` is added to what is there."""

    name: str | None = Field(default=None, min_length=1, max_length=256)
    input_data: list[Any] | None = None


class OperationFields(BaseModel):
    """Which operation, on what."""

    name: str = Field(description="Exactly as `GET /api/available_operations/` has it.")
    input_data: dict[str, Any] = Field(description="As the operation's inputs want it.")


def session_json(session: Mapping[str, Any], operations: list[Any]) -> dict[str, Any]:
    """Return a stored session as JSON."""
    return {
        "id": session["number"],
        "operations": operations,
        "user": session["owner"],
        "name": session["name"],
        "input_data": session["input_data"],
        "created": written(session["created_us"]),
        "accessed": written(session["accessed_us"]),
        "modified": written(session["modified_us"]),
    }


def operation_json(shown: ShownOperation) -> dict[str, Any]:
    """Return an operation as JSON."""
    operation, is_cancelled = shown.operation, shown.state is State.CANCELLED
    return {
        "id": operation.number,
        "name": operation.name,
        "status": State.FAILED if is_cancelled else shown.state,
        "message": shown.message or (CANCELLED_MESSAGE if is_cancelled else ""),
        "operation_progress": shown.progress,
        "output": shown.output,
        "input_data": operation.input_data,
        "created": written(operation.created_us),
    }


def news_json(news: News) -> dict[str, Any]:
    """Return what is new of an operation as JSON, in the words of the operation itself."""
    if news.state is None:
        return {"id": news.number}
    is_cancelled = news.state is State.CANCELLED
    return {
        "id": news.number,
        "status": State.FAILED if is_cancelled else news.state,
        "operation_progress": news.progress,
        "message": news.message or (CANCELLED_MESSAGE if is_cancelled else ""),
    }
