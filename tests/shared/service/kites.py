"""A small service to test with."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

import httpx
import structlog
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, SecretStr

from shared.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermanentError,
    StorageFullError,
    TransientError,
)
from shared.service import Service, State
from shared.service.access import authorised
from shared.service.application import create_service
from shared.service.serving import serving
from shared.settings import ServiceSettings

ERRORS: dict[str, Exception] = {
    "invalid": InvalidInputError("wings must be two", field="wings", value=3),
    "missing": NotFoundError("no kite of this name"),
    "taken": ConflictError("there is a kite of this name"),
    "later": TransientError("ask again: amqp://user:hunter2@host", retry_after=timedelta(seconds=1.2)),
    "full": StorageFullError("no space left"),
    "refused": PermanentError("hunter2"),
    "bug": RuntimeError("hunter2"),
}


class Kite(BaseModel):
    name: str
    wings: Annotated[int, Field(ge=1, le=4)] = 2
    password: str = ""


router = APIRouter(prefix="/kites")


@router.get("/{name}")
async def get_kite(name: str, request: Request) -> str:
    if name in ERRORS:
        raise ERRORS[name]
    structlog.get_logger("kites").info("kite.shown")
    return f"{request.state.greeting} {name}"


@router.post("", dependencies=[Depends(authorised)])
async def make_kite(kite: Kite) -> str:
    return kite.name


@dataclass
class Running:
    """A service under test and what it did."""

    http: httpx.AsyncClient
    service: Service
    events: list[str] = field(default_factory=list)


Prepare = Callable[[Service], None]


@asynccontextmanager
async def kites(prepare: Prepare = lambda _: None, *, token: str | None = None) -> AsyncIterator[Running]:
    settings = ServiceSettings(port=0, token=SecretStr(token) if token else None)
    events: list[str] = []

    @asynccontextmanager
    async def resources(service: Service) -> AsyncIterator[State]:
        prepare(service)
        yield {"greeting": "hello"}
        events.append("closed")

    app = create_service("kites", resources, router, settings=settings)
    async with serving(app, settings) as url, httpx.AsyncClient(base_url=url) as http:
        yield Running(http, app.state.service, events)


@asynccontextmanager
async def no_resources(_: Service) -> AsyncIterator[State]:
    yield {}


def noting(order: list[str], what: str) -> Callable[[], Awaitable[None]]:
    async def note() -> None:
        order.append(what)

    return note
