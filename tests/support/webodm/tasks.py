"""``/api/projects/{project}/tasks/``, without what is done to files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.support.webodm.accounts import Accounts
from tests.support.webodm.forms import Form, read_form
from tests.support.webodm.processing import Processing
from tests.support.webodm.records import (
    CANCEL,
    COMPACT,
    REMOVE,
    RESIZE,
    RESTART,
    Library,
    Task,
    given_tags,
    kept_tags,
)
from tests.support.webodm.refusals import invalid, invalid_field, not_found
from tests.support.webodm.uploads import keep_whole

ACTIONS = {
    "cancel": (CANCEL, "change"),
    "restart": (RESTART, "change"),
    "remove": (REMOVE, "delete"),
    "compact": (COMPACT, "delete"),
}


@dataclass
class Tasks:
    """Made, followed, acted on."""

    accounts: Accounts
    library: Library
    processing: Processing

    def routes(self) -> list[web.RouteDef]:
        every = "/api/projects/{project}/tasks/"
        one = f"{every}{{task}}/"
        return [
            web.get(every, self.list),
            web.post(every, self.create),
            web.get(one, self.retrieve),
            web.patch(one, self.update),
            web.post(f"{one}commit/", self.commit),
            web.get(f"{one}output/", self.output),
            web.get(f"{one}download/{{asset}}", self.download),
            web.post(f"{one}{{action:{'|'.join(ACTIONS)}}}/", self.act),
        ]

    async def list(self, request: web.Request) -> web.Response:
        user = self.accounts.caller(request)
        project = self.library.project(user, request.match_info["project"])
        status = request.query.get("status")
        return web.json_response(
            [task.shown() for task in project.tasks.values() if status in (None, str(task.status))]
        )

    async def create(self, request: web.Request) -> web.Response:
        user = self.accounts.caller(request)
        project = self.library.project(user, request.match_info["project"], "change")
        async with read_form(request) as form:
            is_partial = bool(form.fields.get("partial"))
            if not is_partial and len(form.files) <= 1:
                raise invalid("Cannot create task, you need at least 2 images")
            fields = _checked(form.fields)
            task = self.library.add_task(
                project,
                partial=is_partial,
                pending_action=RESIZE if "resize_to" in form.fields else None,
                **fields,
            )
            if not is_partial:
                self._begin(task, form)
        return web.json_response(task.shown(), status=201)

    def _begin(self, task: Task, form: Form) -> None:
        for sent in form.files:
            keep_whole(task, sent)
        task.count_images()
        self.processing.process(task)

    async def retrieve(self, request: web.Request) -> web.Response:
        return web.json_response(self._task(request).shown())

    async def update(self, request: web.Request) -> web.Response:
        task = self._task(request, "change")
        async with read_form(request) as form:
            for name, value in _checked(form.fields).items():
                setattr(task, name, value)
        self.processing.process(task)
        return web.json_response(task.shown())

    async def commit(self, request: web.Request) -> web.Response:
        task = self._task(request, "change")
        task.count_images()
        if task.images_count < 1:
            raise invalid("You need to upload at least 1 file before commit")
        task.partial = False
        self.processing.process(task)
        return web.json_response(task.shown())

    async def act(self, request: web.Request) -> web.Response:
        action, permission = ACTIONS[request.match_info["action"]]
        task = self._task(request, permission)
        task.pending_action, task.partial, task.last_error = action, False, None
        self.processing.process(task)
        return web.json_response({"success": True})

    async def output(self, request: web.Request) -> web.Response:
        task = self._task(request)
        line = request.query.get("line", "0")
        if not line.lstrip("-").isdecimal():
            raise invalid("Invalid parameter")
        lines = task.console[max(0, int(line)) :]
        if request.query.get("f") == "raw":
            return web.Response(text="\n".join(lines))
        if request.query.get("f") == "json":
            return web.json_response({"lines": lines, "count": len(task.console)})
        return web.json_response("\n".join(lines))

    async def download(self, request: web.Request) -> web.StreamResponse:
        task = self._task(request)
        asset = request.match_info["asset"]
        if asset not in task.available_assets:
            raise not_found("Asset does not exist")
        return web.FileResponse(task.assets / asset)

    def _task(self, request: web.Request, *permissions: str) -> Task:
        user = self.accounts.caller(request)
        return self.library.task(
            user, request.match_info["project"], request.match_info["task"], *permissions
        )


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what of a task was given, in the form that is kept.

    Raises:
        RefusedError: The options are not a list of names and values, or one value is false.
    """
    kept: dict[str, Any] = {}
    if "name" in fields:
        kept["name"] = str(fields["name"])
    if "tags" in fields:
        kept["tags"] = kept_tags(given_tags(fields["tags"]))
    if "options" in fields:
        kept["options"] = _checked_options(fields["options"])
    return kept


def _checked_options(options: Any) -> list[dict[str, Any]]:
    try:
        options = json.loads(options) if isinstance(options, str) else options
    except ValueError:
        raise invalid_field("options", "Value must be valid JSON.") from None
    if not isinstance(options, list):
        raise invalid_field("options", "Invalid options")
    for option in options:
        if not isinstance(option, dict) or not option.get("name") or not option.get("value"):
            raise invalid_field("options", "Invalid options")
    return options
