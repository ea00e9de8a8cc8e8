"""What users and tests turn while the simulator runs, below ``/simulator/``; it wants no login."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flightline.nextcloud_simulator.answers import Answer, RefusedError, json_answer
from flightline.nextcloud_simulator.faults import Rule
from flightline.nextcloud_simulator.nextcloud import PASSWORD, Nextcloud
from flightline.nextcloud_simulator.requests import Request

CONTROL = "/simulator/"


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewTag(_Document):
    """A tag, also one that no user may put on files or take off."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    is_visible: bool = True
    is_assignable: bool = True


class Assignment(_Document):
    """Tags for a file, made if there are none of these names."""

    path: str
    tags: Annotated[list[str], Field(min_length=1, max_length=100)]


class Switches(_Document):
    """What can be switched; what is left out stays as it is."""

    quota_bytes: Annotated[int, Field(ge=0)] | None = None
    keeps_etag: bool = True
    checks_content: bool = True
    refuses_tag_twins: bool = False
    password: Annotated[str, Field(min_length=1)] = PASSWORD
    login_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    readonly_tags: list[int] = []


def answer(nextcloud: Nextcloud, request: Request) -> Answer:
    """Answer a request below ``/simulator/``."""
    what, _, rest = request.path.removeprefix(CONTROL).partition("/")
    route = _ROUTES.get((request.method, what))
    if route is None:
        return json_answer({"error": f"there is no {request.method} {request.path}"}, 404)
    try:
        return route(nextcloud, request, rest)
    except ValidationError as error:
        return json_answer({"error": error.errors(include_url=False, include_context=False)}, 422)
    except RefusedError as refusal:
        return json_answer({"error": refusal.message}, refusal.status)


def _calls(nextcloud: Nextcloud, _request: Request, _rest: str) -> Answer:
    return json_answer({"total": nextcloud.calls.total(), "by_method": dict(nextcloud.calls)})


def _forget_calls(nextcloud: Nextcloud, _request: Request, _rest: str) -> Answer:
    nextcloud.calls.clear()
    return Answer(204)


def _tags(nextcloud: Nextcloud, _request: Request, _rest: str) -> Answer:
    return json_answer([asdict(tag) for tag in nextcloud.tags().values()])


def _new_tag(nextcloud: Nextcloud, request: Request, _rest: str) -> Answer:
    new = NewTag.model_validate_json(request.body())
    return json_answer({"id": nextcloud.new_tag(**new.model_dump()).id}, 201)


def _assign(nextcloud: Nextcloud, request: Request, _rest: str) -> Answer:
    given = Assignment.model_validate_json(request.body())
    nextcloud.tag(given.path.strip("/"), *given.tags)
    return Answer(204)


def _new_app_password(nextcloud: Nextcloud, _request: Request, _rest: str) -> Answer:
    return json_answer({"password": nextcloud.account.new_app_password()}, 201)


def _trash(nextcloud: Nextcloud, _request: Request, _rest: str) -> Answer:
    return json_answer(sorted(one.name for one in nextcloud.tree.trash.iterdir()))


def _faults(nextcloud: Nextcloud, _request: Request, _rest: str) -> Answer:
    return json_answer(nextcloud.faults.document())


def _new_fault(nextcloud: Nextcloud, request: Request, _rest: str) -> Answer:
    return json_answer({"id": nextcloud.faults.add(Rule.model_validate_json(request.body()))}, 201)


def _remove_faults(nextcloud: Nextcloud, _request: Request, rest: str) -> Answer:
    if not rest:
        nextcloud.faults.clear()
    elif not rest.isdecimal() or not nextcloud.faults.remove(int(rest)):
        raise RefusedError(404, f"there is no rule {rest}")
    return Answer(204)


def _switch(nextcloud: Nextcloud, request: Request, _rest: str) -> Answer:
    given = Switches.model_validate_json(request.body())
    for name in given.model_fields_set:
        _SWITCHES[name](nextcloud, getattr(given, name))
    return Answer(204)


def _keep_readonly(nextcloud: Nextcloud, ids: list[int]) -> None:
    with nextcloud.tree.lock:
        for tag in nextcloud.tree.index.tags():
            nextcloud.tree.index.set_assignable(tag.id, is_assignable=tag.id not in ids)


_ROUTES: dict[tuple[str, str], Callable[[Nextcloud, Request, str], Answer]] = {
    ("GET", "calls"): _calls,
    ("DELETE", "calls"): _forget_calls,
    ("GET", "tags"): _tags,
    ("POST", "tags"): _new_tag,
    ("POST", "assign"): _assign,
    ("POST", "app-passwords"): _new_app_password,
    ("GET", "trash"): _trash,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _new_fault,
    ("DELETE", "faults"): _remove_faults,
    ("PATCH", "switches"): _switch,
}
_SWITCHES: dict[str, Callable[[Nextcloud, Any], None]] = {
    "quota_bytes": lambda nextcloud, value: setattr(nextcloud.tree, "quota_bytes", value),
    "keeps_etag": lambda nextcloud, value: setattr(nextcloud.tree, "keeps_etag", value),
    "checks_content": lambda nextcloud, value: setattr(nextcloud, "checks_content", value),
    "refuses_tag_twins": lambda nextcloud, value: setattr(nextcloud, "refuses_tag_twins", value),
    "password": lambda nextcloud, value: nextcloud.account.change_password(value),
    "login_s": lambda nextcloud, value: setattr(nextcloud.account, "login_s", value),
    "readonly_tags": _keep_readonly,
}
