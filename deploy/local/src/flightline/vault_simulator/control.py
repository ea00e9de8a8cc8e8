"""What users and tests turn while the simulator runs, below ``/simulator/``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from flightline.vault_simulator.answers import done, missing
from flightline.vault_simulator.asking import body_of, vault_of
from flightline.vault_simulator.faults import Rule


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ConditionChange(_Change):
    """What can be wrong with it."""

    is_sealed: bool | None = None
    is_standby: bool | None = None
    active_url: str | None = None
    is_initialized: bool | None = None
    denied: tuple[str, ...] | None = None
    namespace: str | None = None
    latency_s: Annotated[float, Field(ge=0, le=600)] | None = None


class RoleChange(_Change):
    """What a role gives, and what proves it."""

    lease_s: Annotated[int, Field(ge=0)] | None = None
    longest_s: Annotated[int, Field(ge=0)] | None = None
    is_renewable: bool | None = None
    secret_ids: dict[str, int] | None = None
    tokens: set[str] | None = None


async def change_condition(request: Request) -> Response:
    """Answer ``PATCH /simulator/condition``."""
    _apply(ConditionChange.model_validate(await body_of(request)), vault_of(request).condition)
    return done()


async def change_role(request: Request) -> Response:
    """Answer ``PATCH /simulator/roles/{name}``: every role of this name."""
    change = RoleChange.model_validate(await body_of(request))
    logins = vault_of(request).logins
    name = request.path_params["name"]
    every: list[dict[str, Any]] = [*logins.approles.values(), *logins.kubernetes.values()]
    roles = [mounted[name] for mounted in every if name in mounted]
    if not roles:
        raise missing()
    for role in roles:
        _apply(change, role)
    return done()


async def put_secret(request: Request) -> Response:
    """Answer ``PUT /simulator/secrets/{path}``: the values in the body, whatever the engine's version."""
    version = vault_of(request).put(request.path_params["path"], await body_of(request))
    return JSONResponse({"version": version})


async def patch_secret(request: Request) -> Response:
    """Answer ``PATCH /simulator/secrets/{path}``: the values in the body, beside those that are there."""
    vault, path = vault_of(request), request.path_params["path"]
    version = vault.put(path, {**vault.values(path), **await body_of(request)})
    return JSONResponse({"version": version})


async def end_tokens(request: Request) -> Response:
    """Answer ``POST /simulator/tokens/end``: none but root's counts any longer."""
    return JSONResponse({"ended": vault_of(request).tokens.end_all()})


async def list_faults(request: Request) -> Response:
    """Answer ``GET /simulator/faults``."""
    return JSONResponse(vault_of(request).faults.document())


async def add_fault(request: Request) -> Response:
    """Answer ``POST /simulator/faults``: a rule."""
    number = vault_of(request).faults.add(Rule.model_validate(await body_of(request)))
    return JSONResponse({"id": number}, status_code=201)


async def clear_faults(request: Request) -> Response:
    """Answer ``DELETE /simulator/faults``."""
    vault_of(request).faults.clear()
    return done()


async def remove_fault(request: Request) -> Response:
    """Answer ``DELETE /simulator/faults/{number}``."""
    if not vault_of(request).faults.remove(request.path_params["number"]):
        raise missing()
    return done()


async def get_calls(request: Request) -> Response:
    """Answer ``GET /simulator/calls``."""
    vault = vault_of(request)
    return JSONResponse({**vault.calls.document(), "tokens": vault.tokens.alive})


async def reset_calls(request: Request) -> Response:
    """Answer ``DELETE /simulator/calls``."""
    vault_of(request).calls.reset()
    return done()


def _apply(change: _Change, place: object) -> None:
    """Set what was given, where the place has it."""
    for name in change.model_fields_set:
        if hasattr(place, name):
            setattr(place, name, getattr(change, name))
