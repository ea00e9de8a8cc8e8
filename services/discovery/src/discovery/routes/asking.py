"""Who asks, as routes need to know it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.status import HTTP_403_FORBIDDEN, HTTP_404_NOT_FOUND

from discovery.domain.principals import Principal
from discovery.doorkeeper import Doorkeeper
from discovery.plans import Plans
from discovery.projects import Projects
from discovery.tapis_access import TapisAccess
from discovery.tapis_flights import TapisFlights
from shared.service.access import authorised

_bearer = HTTPBearer(auto_error=False, description="A Tapis access token, or the service's token.")
NO_TAPIS = "No Tapis tenant is known here: set FLIGHTLINE_TAPIS_URL and FLIGHTLINE_TAPIS_TENANT."

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def doorkeeper(request: Request) -> Doorkeeper:
    """Return who knows everybody."""
    keeper: Doorkeeper = request.state.doorkeeper
    return keeper


async def _reader(request: Request, _: Bearer) -> Principal:
    return await doorkeeper(request).principal(request)


async def _user(request: Request, _: Bearer) -> Principal:
    return await doorkeeper(request).principal(request, keep=True)


Reader = Annotated[Principal, Depends(_reader)]
"""Whoever asks to see something."""

User = Annotated[Principal, Depends(_user)]
"""Whoever has something done: their Tapis token is kept for it."""


async def service_only(request: Request, bearer: Bearer) -> None:
    """Let a request through that our own services or the operator may make, and no user.

    Raises:
        HTTPException: 401 or 403.
    """
    if doorkeeper(request).logins is None:
        await authorised(request, bearer)
    elif not doorkeeper(request).is_service(request):
        await doorkeeper(request).principal(request)
        raise HTTPException(HTTP_403_FORBIDDEN, "This is for the service's own token.")


def _tapis(request: Request) -> TapisAccess:
    tapis: TapisAccess | None = request.state.tapis
    if tapis is None:
        raise HTTPException(HTTP_404_NOT_FOUND, NO_TAPIS)
    return tapis


def _tapis_flights(tapis: Annotated[TapisAccess, Depends(_tapis)]) -> TapisFlights:
    return tapis.flights


def _plans(request: Request) -> Plans:
    plans: Plans = request.state.plans
    return plans


def _projects(request: Request) -> Projects:
    projects: Projects = request.state.projects
    return projects


Tapis = Annotated[TapisAccess, Depends(_tapis)]
OnTapis = Annotated[TapisFlights, Depends(_tapis_flights)]
WhatOwnersWant = Annotated[Plans, Depends(_plans)]
TheProjects = Annotated[Projects, Depends(_projects)]
