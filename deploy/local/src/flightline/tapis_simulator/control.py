"""What users and tests turn while the simulator runs, below ``/simulator/``."""

from __future__ import annotations

import asyncio
import itertools
from typing import Annotated, Literal, Self

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flightline.tapis_simulator.answers import RefusedError, plain
from flightline.tapis_simulator.asking import TAPIS, confined, target
from flightline.tapis_simulator.faults import Rule
from flightline.tapis_simulator.systems import StorageSystem
from flightline.tapis_simulator.tapis import FIRST_IMAGE_S

Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^/]+$")]
_MOST_IMAGES = 2_000_000

Seconds = Annotated[float, Field(ge=0)]


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SettingsChange(_Change):
    """How quick the simulator is and for how long its tokens are good."""

    latency_s: Seconds | None = None
    access_ttl_s: Seconds | None = None
    refresh_ttl_s: Seconds | None = None
    transfer_bytes_per_s: Annotated[float, Field(gt=0)] | None = None
    recursion: Literal["2024", "spec"] | None = None


class SystemChange(_Change):
    """What a system can be turned into."""

    is_enabled: bool | None = None
    is_public: bool | None = None
    shared_with: frozenset[str] | None = None
    with_credentials: frozenset[str] | None = None
    latency_s: Seconds | None = None
    max_sessions: Annotated[int, Field(ge=0)] | None = None
    busy_status: Annotated[int, Field(ge=400, le=599)] | None = None
    busy_retry_after_s: Seconds | None = None


class NewFile(_Change):
    """A file of made-up bytes."""

    size_bytes: Annotated[int, Field(ge=0, le=1 << 40)] = 1000
    modified_s: int | None = None


class NewFlights(_Change):
    """The same flights on each of some systems, which are made if they are not there."""

    systems: Annotated[list[Name], Field(min_length=1, max_length=10_000)]
    flights: Annotated[list[Name], Field(min_length=1, max_length=10_000)]
    images: Annotated[int, Field(ge=0, le=1_000_000)]
    size_bytes: Annotated[int, Field(ge=0, le=1 << 40)] = 1000
    modified_s: int = FIRST_IMAGE_S
    owner: str = "demo"

    @model_validator(mode="after")
    def _is_bearable(self) -> Self:
        if len(self.systems) * len(self.flights) * self.images > _MOST_IMAGES:
            raise ValueError(f"more than {_MOST_IMAGES} images at a time")
        return self


async def list_faults(request: web.Request) -> web.Response:
    """Answer ``GET /simulator/faults``."""
    return plain(request.app[TAPIS].faults.document())


async def add_fault(request: web.Request) -> web.Response:
    """Answer ``POST /simulator/faults``: a rule."""
    rule = Rule.model_validate_json(await request.read())
    return plain({"id": request.app[TAPIS].faults.add(rule)}, status=201)


async def remove_fault(request: web.Request) -> web.Response:
    """Answer ``DELETE /simulator/faults/{number}``."""
    if not request.app[TAPIS].faults.remove(int(request.match_info["number"])):
        raise web.HTTPNotFound
    return web.Response(status=204)


async def clear_faults(request: web.Request) -> web.Response:
    """Answer ``DELETE /simulator/faults``."""
    request.app[TAPIS].faults.clear()
    return web.Response(status=204)


async def get_calls(request: web.Request) -> web.Response:
    """Answer ``GET /simulator/calls``, by path too with ``?paths=true``."""
    return plain(request.app[TAPIS].calls.document(with_paths=request.query.get("paths") == "true"))


async def reset_calls(request: web.Request) -> web.Response:
    """Answer ``DELETE /simulator/calls``."""
    request.app[TAPIS].calls.reset()
    return web.Response(status=204)


async def change_settings(request: web.Request) -> web.Response:
    """Answer ``PATCH /simulator/settings``."""
    tapis = request.app[TAPIS]
    change = SettingsChange.model_validate_json(await request.read())
    for place in (tapis.pace, tapis.issuer, tapis):
        _apply(change, place)
    return web.Response(status=204)


async def end_tokens(request: web.Request) -> web.Response:
    """Answer ``POST /simulator/tokens/{kind}/end``: none issued so far counts any longer."""
    kind = request.match_info["kind"]
    request.app[TAPIS].issuer.end_all("access" if kind == "access" else "refresh")
    return web.Response(status=204)


async def rotate_key(request: web.Request) -> web.Response:
    """Answer ``POST /simulator/tokens/key/rotate``: the tenant signs with another key."""
    request.app[TAPIS].issuer.rotate_key()
    return web.Response(status=204)


async def change_system(request: web.Request) -> web.Response:
    """Answer ``PATCH /simulator/systems/{systemId}``."""
    system = _system(request, request.match_info["systemId"])
    _apply(SystemChange.model_validate_json(await request.read()), system)
    return web.Response(status=204)


async def add_flights(request: web.Request) -> web.Response:
    """Answer ``POST /simulator/flights``: made-up images, where flights have them."""
    new = NewFlights.model_validate_json(await request.read())
    for system, flight in itertools.product(new.systems, new.flights):
        request.app[TAPIS].add_flight(
            system,
            flight,
            new.images,
            owner=new.owner,
            size_bytes=new.size_bytes,
            modified_s=new.modified_s,
        )
        await asyncio.sleep(0)  # let others have their turn
    return web.Response(status=204)


async def put_file(request: web.Request) -> web.Response:
    """Answer ``PUT /simulator/files/{systemId}/{path}``: of the size in the body, with made-up bytes."""
    system, path = _file(request)
    new = NewFile.model_validate_json(await request.read() or b"{}")
    system.files.add(path, new.size_bytes, new.modified_s)
    return web.Response(status=204)


async def remove_file(request: web.Request) -> web.Response:
    """Answer ``DELETE /simulator/files/{systemId}/{path}``; the disk is not touched."""
    system, path = _file(request)
    system.files.remove(path)
    return web.Response(status=204)


def _apply(change: _Change, place: object) -> None:
    """Set what was given, where the place has it."""
    for name in change.model_fields_set:
        if hasattr(place, name):
            setattr(place, name, getattr(change, name))


def _system(request: web.Request, name: str) -> StorageSystem:
    system = request.app[TAPIS].systems.get(name)
    if system is None:
        raise web.HTTPNotFound
    return system


def _file(request: web.Request) -> tuple[StorageSystem, str]:
    name, path = target(request)
    if not (path := confined(path)):
        raise web.HTTPNotFound
    return _system(request, name), path


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell whoever sent a document that does not fit what is wrong with it."""
    try:
        return await handler(request)
    except ValidationError as error:
        return plain({"error": error.errors(include_url=False, include_context=False)}, status=422)
    except RefusedError as refusal:
        return plain({"error": refusal.message}, status=refusal.status)
